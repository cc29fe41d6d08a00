/** From a datagram to the exchange that it belongs to. Until the ICV is verified, nothing here changes any state. */
import { equalBytes } from "../bytes/bytes.ts";
import { PeerMisbehaved } from "../bytes/errors.ts";
import { checkPayloads, checkProtection } from "../codec/checkPayloads.ts";
import { decodeMessage, decodePayloads, refuseUnknownCritical } from "../codec/codec.ts";
import { type ExchangeRule, exchangeRuleFor, exchangeRules, responseRuleFor } from "../codec/exchangeRules.ts";
import { EXCHANGE_TYPE_OFFSET } from "../codec/header.ts";
import type { Message, Payload } from "../codec/message.ts";
import { ExchangeType } from "../registry/exchangeType.ts";
import { NotifyType } from "../registry/notifyType.ts";
import type { EngineContext } from "./context.ts";
import { type ReceivedRequest, requestAnswered } from "./exchange.ts";
import { handleFault, type Place } from "./faults.ts";
import type { IkeSa } from "./ikeSa.ts";
import type { ExchangeFailure, IkeInput } from "./machine.ts";
import { isLast, type Operation } from "./operation.ts";
import { answerMkt } from "./operations/acceptMkt.ts";
import { receiveAuthResponse } from "./operations/auth.ts";
import { receiveAuthRequest } from "./operations/authResponder.ts";
import { receiveInformational } from "./operations/informational.ts";
import { receiveIkeSaRekey } from "./operations/rekeyIkeSa.ts";
import { receiveSaInitResponse } from "./operations/saInit.ts";
import { receiveSaInitRequest } from "./operations/saInitResponder.ts";
import { notifyOf } from "./payloads.ts";
import { removeIkeSa } from "./removal.ts";
import { rekeyWhenWorn } from "./renewal.ts";

export type Datagram = Extract<IkeInput, { readonly kind: "datagram" }>;

/** Octets at the end of a protected message by which it is known again: they belong to its ICV. */
const MARK_BYTES = 16;

/** RFC 7296 section 2 wants 1280 octets and recommends 3000; this leaves room for every key exchange in use. */
const MAXIMUM_SA_INIT_BYTES = 8192;

/** The one place where a fault of the peer becomes an answer, or silence. */
export function receiveDatagram(engine: EngineContext, datagram: Datagram): void {
  engine.counters.datagrams++;
  let place: Place = { ...datagram, kind: "clear" };
  try {
    receive(engine, datagram, (reached) => {
      place = reached;
    });
  } catch (fault) {
    handleFault(engine, place, fault);
  }
}

type Reach = (place: Place) => void;

function receive(engine: EngineContext, datagram: Datagram, reach: Reach): void {
  if (!isKnownSource(engine, datagram)) {
    engine.counters.unknownSource++;
    return;
  }
  if (isOversized(datagram.data)) {
    engine.counters.malformed++;
    return;
  }
  const message = decodeMessage(datagram.data);
  if (message.header.exchangeType === ExchangeType.IKE_SA_INIT) receiveSaInit(engine, datagram, message, reach);
  else receiveProtected(engine, datagram, message, reach);
}

/** What nobody has authenticated is remembered while half-open, and looked at transform by transform: not at any length. */
function isOversized(data: Uint8Array): boolean {
  return data[EXCHANGE_TYPE_OFFSET] === ExchangeType.IKE_SA_INIT && data.length > MAXIMUM_SA_INIT_BYTES;
}

/** A configured peer's address; or that of an IKE SA which is being closed since its peer is configured no more. */
function isKnownSource(engine: EngineContext, datagram: Datagram): boolean {
  const { remote, data } = datagram;
  if (engine.peers.atAddress(remote.address).length > 0) return true;
  if (data.length < 16) return false;
  const spis = new DataView(data.buffer, data.byteOffset, 16);
  const sa = engine.ikeSas.find(spis.getBigUint64(0)) ?? engine.ikeSas.find(spis.getBigUint64(8));
  return sa?.remote.address === remote.address;
}

function receiveSaInit(engine: EngineContext, datagram: Datagram, message: Message, reach: Reach): void {
  const { header, payloads } = message;
  checkProtection(exchangeRules.ikeSaInit.request, message);
  // RFC 7296 section 3.1: the I flag tells who the original initiator is
  if (header.isInitiator === header.isResponse) throw misbehaved("the I flag does not fit");
  if (!header.isResponse) {
    refuseUnknownCritical(payloads);
    const peers = engine.peers.atAddress(datagram.remote.address);
    if (peers.length === 0) return;
    receiveSaInitRequest(engine, peers, requestOf(datagram, message), message, datagram.data);
    return;
  }
  const sa = engine.ikeSas.find(header.initiatorSpi);
  if (sa === undefined || !sa.isInitiator || header.messageId !== 0 || sa.remote.address !== datagram.remote.address) {
    engine.counters.unexpected++;
    return;
  }
  reach({ kind: "saInitResponse", sa });
  refuseUnknownCritical(payloads);
  receiveSaInitResponse(engine, sa, message, datagram.data);
}

function receiveProtected(engine: EngineContext, datagram: Datagram, message: Message, reach: Reach): void {
  const { header } = message;
  // RFC 7296 section 2.6: our SPI is the one that the I flag says; both have to be right
  const sa = engine.ikeSas.find(header.isInitiator ? header.responderSpi : header.initiatorSpi);
  const isKnown =
    sa !== undefined &&
    sa.isInitiator !== header.isInitiator &&
    sa.initiatorSpi === header.initiatorSpi &&
    sa.responderSpi === header.responderSpi;
  if (!isKnown) engine.counters.unexpected++;
  else if (header.isResponse) receiveResponse(engine, sa, message, reach);
  else receiveRequest(engine, sa, datagram, message, reach);
}

function receiveRequest(engine: EngineContext, sa: IkeSa, datagram: Datagram, message: Message, reach: Reach): void {
  const { messageId } = message.header;
  const mark = datagram.data.subarray(-MARK_BYTES);
  const { answered } = sa;
  if (answered?.messageId === messageId && equalBytes(answered.mark, mark)) {
    // RFC 7296 section 2.1: a retransmitted request causes a retransmission of the response, and nothing else
    engine.counters.repeatedRequests++;
    if (answered.response !== undefined) engine.send(datagram.local, datagram.remote, answered.response);
    return;
  }
  // RFC 7296 section 2.3: the window is one request, and it is taken until the one before has its answer
  if (messageId !== sa.expectedRequestId || sa.secured?.held !== undefined) {
    engine.counters.outsideWindow++;
    return;
  }
  const plaintext = takesRequests(sa) ? open(engine, sa, message) : notExpected(engine);
  if (plaintext === undefined) return;
  sa.expectedRequestId = messageId + 1;
  sa.answered = { messageId, mark: new Uint8Array(mark), response: undefined };
  sa.exchanges++;
  heard(engine, sa);
  if (sa.state.name === "halfOpen") followPorts(sa, datagram);
  const request = requestOf(datagram, message);
  reach({ kind: "request", sa, request });
  const payloads = decodeInner(sa, message, plaintext);
  refuseUnknownCritical([...message.payloads, ...payloads]);
  const rule = exchangeRuleFor(request.exchangeType, payloads);
  if (rule === undefined) throw misbehaved(`exchange type ${request.exchangeType} is not known`);
  checkPayloads(rule.request, payloads);
  dispatchRequest(engine, sa, request, rule, payloads);
  rekeyWhenWorn(engine, sa);
}

/** RFC 7296 section 2.23: an initiator may move to port 4500 with IKE_AUTH, and everything that follows goes there. */
function followPorts(sa: IkeSa, { local, remote }: Datagram): void {
  if (local.address !== sa.local.address || remote.address !== sa.remote.address) return;
  sa.local = local;
  sa.remote = remote;
}

/** Not before the peer is authenticated, but for the request that does it. */
function takesRequests(sa: IkeSa): boolean {
  switch (sa.state.name) {
    case "halfOpen":
    case "established":
    case "redundant":
    case "replaced":
    case "closing":
      return true;
    default:
      return false;
  }
}

function dispatchRequest(
  engine: EngineContext,
  sa: IkeSa,
  request: ReceivedRequest,
  rule: ExchangeRule,
  payloads: readonly Payload[],
): void {
  const { state, secured } = sa;
  if (state.name === "halfOpen") {
    if (rule !== exchangeRules.ikeAuth) throw misbehaved(`${rule.name} before IKE_AUTH`);
    receiveAuthRequest(engine, sa, state, request, payloads);
    return;
  }
  switch (rule) {
    case exchangeRules.informational:
      receiveInformational(engine, sa, request, payloads);
      return;
    case exchangeRules.rekeyIkeSa:
      if (secured !== undefined) receiveIkeSaRekey(engine, sa, secured, request, payloads);
      return;
    case exchangeRules.createChildSa:
    case exchangeRules.rekeyChildSa:
      if (secured === undefined) return;
      secured.lifetime.lastUsedAt = engine.now.monotonic;
      answerMkt(engine, sa, secured, { exchange: "CREATE_CHILD_SA", request, payloads, identified: [] });
      return;
    default:
      throw misbehaved(`${rule.name} in an IKE SA that is established`);
  }
}

function receiveResponse(engine: EngineContext, sa: IkeSa, message: Message, reach: Reach): void {
  const { messageId, exchangeType } = message.header;
  const { outstanding } = sa;
  if (outstanding?.messageId !== messageId || outstanding.exchangeType !== exchangeType) {
    engine.counters.outsideWindow++;
    return;
  }
  const plaintext = open(engine, sa, message);
  if (plaintext === undefined) return;
  const operation = requestAnswered(engine, sa);
  heard(engine, sa);
  reach({ kind: "response", sa, operation });
  const payloads = decodeInner(sa, message, plaintext);
  // RFC 7296 section 2.5: a response MUST NOT have the critical flag set
  refuseUnknownCritical([...message.payloads, ...payloads]);
  const rule = ruleOf(exchangeType, operation, payloads);
  if (rule !== undefined) checkPayloads(responseRuleFor(rule, payloads), payloads);
  dispatchResponse(engine, sa, operation, payloads);
  rekeyWhenWorn(engine, sa);
}

/** A response is judged by what was asked, not by what it looks like. */
function ruleOf(
  exchangeType: number,
  operation: Operation | undefined,
  payloads: readonly Payload[],
): ExchangeRule | undefined {
  switch (operation?.name) {
    case "createMkt":
      return exchangeRules.createChildSa;
    case "rekeyIkeSa":
      return exchangeRules.rekeyIkeSa;
    default:
      return exchangeRuleFor(exchangeType, payloads);
  }
}

function dispatchResponse(
  engine: EngineContext,
  sa: IkeSa,
  operation: Operation | undefined,
  payloads: readonly Payload[],
): void {
  if (sa.state.name === "authSent") {
    receiveAuthResponse(engine, sa, sa.state, payloads);
    return;
  }
  operation?.response(engine, sa, payloads);
  if (isLast(operation)) removeIkeSa(engine, sa, { operations: "move" });
  else if (notifyOf(payloads, NotifyType.INVALID_SYNTAX) !== undefined) {
    // RFC 7296 section 2.21.3: fatal in both peers, without a Delete
    const detail = "the peer could not parse our request";
    const failure: ExchangeFailure = { reason: "refusedByPeer", notifyType: NotifyType.INVALID_SYNTAX, detail };
    removeIkeSa(engine, sa, { failure, operations: "move" });
  }
}

/** A fault is told by the octet of the datagram where it would stand if nothing were encrypted. */
function decodeInner({ cipher }: IkeSa, { encrypted }: Message, plaintext: Uint8Array): readonly Payload[] {
  const before = (encrypted?.associatedData.length ?? 0) + (cipher?.suite.protection.ivLength ?? 0);
  return decodePayloads(encrypted?.firstPayload ?? 0, plaintext, before);
}

/** The octets inside of SK; undefined, and counted, when they are not the peer's. */
function open(engine: EngineContext, sa: IkeSa, message: Message): Uint8Array | undefined {
  const { cipher } = sa;
  if (cipher === undefined) return notExpected(engine);
  checkProtection(exchangeRules.informational.request, message);
  const plaintext = message.encrypted === undefined ? undefined : cipher.open(engine.crypto, message.encrypted);
  if (plaintext === undefined) engine.counters.notAuthentic++;
  return plaintext;
}

function notExpected(engine: EngineContext): undefined {
  engine.counters.unexpected++;
  return undefined;
}

function heard(engine: EngineContext, sa: IkeSa): void {
  const { secured } = sa;
  if (secured !== undefined) secured.lifetime.lastHeardAt = engine.now.monotonic;
}

function requestOf(datagram: Datagram, message: Message): ReceivedRequest {
  const { exchangeType, messageId } = message.header;
  return { exchangeType, messageId, local: datagram.local, remote: datagram.remote };
}

function misbehaved(detail: string): PeerMisbehaved {
  return new PeerMisbehaved({
    code: "badExchange",
    section: "RFC 7296 section 1.2",
    detail,
    notifyType: NotifyType.INVALID_SYNTAX,
  });
}
