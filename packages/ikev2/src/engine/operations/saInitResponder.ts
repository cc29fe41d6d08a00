/** The IKE_SA_INIT exchange, RFC 7296 sections 1.2 and 2.6: the responder's half. */
import { PeerMisbehaved } from "../../bytes/errors.ts";
import { checkPayloads } from "../../codec/checkPayloads.ts";
import { encodeMessage } from "../../codec/codec.ts";
import { exchangeRules } from "../../codec/exchangeRules.ts";
import type { CertReqPayload, IkeHeader, KePayload, Message, NotifyPayload, Proposal } from "../../codec/message.ts";
import { decodeCookie, encodeCookie } from "../../codec/notifies/cookie.ts";
import { encodeInvalidKePayload } from "../../codec/notifies/invalidKePayload.ts";
import { encodePlainNotify } from "../../codec/notifies/notify.ts";
import { deriveIkeSaKeys } from "../../crypto/keys.ts";
import type { CipherSuite } from "../../crypto/suite.ts";
import { chooseIkeProposal } from "../../policy/ikeProposal.ts";
import { ExchangeType } from "../../registry/exchangeType.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import { SecurityProtocolId } from "../../registry/securityProtocolId.ts";
import type { EngineContext } from "../context.ts";
import type { ReceivedRequest } from "../exchange.ts";
import { IkeSa } from "../ikeSa.ts";
import { notifyOf, payloadOf } from "../payloads.ts";
import type { Peer } from "../peers.ts";
import { SaCipher } from "../saCipher.ts";
import { certificateRequest } from "./certificates.ts";
import { withVariant } from "./cookieVariants.ts";
import { announcements, isVendorKarp, NONCE_BYTES, peerHashesOf, reportNat } from "./saInitPayloads.ts";

interface SaInitRequest extends ReceivedRequest {
  readonly initiatorSpi: bigint;
  readonly proposals: readonly Proposal[];
  readonly ke: KePayload;
  readonly ni: Uint8Array;
}

/**
 * Throws ProtocolFault for what is no IKE_SA_INIT request: it is dropped in silence. `peers` are those with the remote
 * address; which one it is, IKE_AUTH will tell.
 */
export function receiveSaInitRequest(
  engine: EngineContext,
  peers: readonly Peer[],
  received: ReceivedRequest,
  message: Message,
  datagram: Uint8Array,
): void {
  const { initiatorSpi, responderSpi } = message.header;
  // Our own request, relayed back to us
  if (engine.ikeSas.find(initiatorSpi) !== undefined) {
    engine.counters.reflected++;
    return;
  }
  if (responderSpi !== 0n || received.messageId !== 0)
    throw misbehaved("the responder's SPI or Message ID is not zero");
  checkPayloads(exchangeRules.ikeSaInit.request, message.payloads);
  const request = parse(received, message);
  const known = engine.ikeSas.findBySaInit(initiatorSpi, request.ni);
  if (known !== undefined) answerAgain(engine, known, request, datagram);
  else if (admits(engine, request, message)) begin(engine, peers, request, message, datagram);
}

/**
 * RFC 7296 section 2.1: a retransmission that belongs to a half-open IKE SA gets the same response; once the IKE_AUTH
 * request is there, it is ignored.
 */
function answerAgain(engine: EngineContext, sa: IkeSa, request: SaInitRequest, datagram: Uint8Array): void {
  engine.counters.repeatedRequests++;
  const { answered, state } = sa;
  if (state.name !== "halfOpen" || answered?.response === undefined) return;
  sa.state = { ...state, handshake: withVariant(state.handshake, datagram) };
  engine.send(request.local, request.remote, answered.response);
}

/** RFC 7296 section 2.6: from a number of half-open IKE SAs on, who cannot receive at its address gets no state. */
function admits(engine: EngineContext, request: SaInitRequest, message: Message): boolean {
  const { settings, now, ikeSas } = engine;
  const { address } = request.remote;
  if (
    ikeSas.halfOpen >= settings.cookieThreshold ||
    ikeSas.halfOpenFrom(address) >= settings.cookieThresholdPerAddress
  ) {
    const subject = { ni: request.ni, address, spiI: request.initiatorSpi };
    const cookie = notifyOf(message.payloads, NotifyType.COOKIE);
    // A cookie that does not match is ignored, as if there were none
    if (cookie === undefined || !engine.cookies.accepts(decodeCookie(cookie), subject, now.monotonic)) {
      engine.counters.cookiesSent++;
      refuse(engine, request, encodeCookie(engine.cookies.issue(subject, now.monotonic)));
      return false;
    }
  }
  // One address cannot take the places of all others, nor, without cookies, those of its own
  const isFull = ikeSas.halfOpenFrom(address) >= settings.halfOpenLimitPerAddress;
  if (ikeSas.halfOpen < settings.halfOpenLimit && !isFull) return true;
  engine.counters.halfOpenLimit++;
  return false;
}

function begin(
  engine: EngineContext,
  peers: readonly Peer[],
  request: SaInitRequest,
  message: Message,
  datagram: Uint8Array,
): void {
  const { crypto } = engine;
  const suites = peers.flatMap((peer) => peer.config.suites);
  const choice = chooseIkeProposal(request.proposals, suites, { sentKeyExchange: request.ke.method });
  if (!choice.ok) {
    refuseWithError(engine, request, encodePlainNotify(NotifyType.NO_PROPOSAL_CHOSEN), choice.error.detail);
    return;
  }
  const { suite, answer } = choice.value;
  const method = suite.transforms.keyExchange;
  if (method !== request.ke.method) {
    // RFC 7296 section 1.2: the group that we select, if the initiator guessed wrong
    refuseWithError(engine, request, encodeInvalidKePayload(method), `key exchange method ${method} is wanted`);
    return;
  }
  const keyExchange = crypto.generateKeyPair(method);
  // RFC 6989 section 2: the peer's value is tested before use
  const sharedSecret = keyExchange?.agree(request.ke.data);
  if (keyExchange === undefined || sharedSecret === undefined)
    throw misbehaved("the key exchange data are not acceptable");
  const { initiatorSpi, ni } = request;
  const responderSpi = engine.ikeSas.freshSpi(crypto);
  const nr = crypto.random(NONCE_BYTES);
  const keys = deriveIkeSaKeys(crypto, suite, { sharedSecret, ni, nr, spiI: initiatorSpi, spiR: responderSpi });
  sharedSecret.erase();
  const response = encodeMessage(responseHeader(initiatorSpi, responderSpi), [
    { kind: "SA", proposals: [answer] },
    { kind: "KE", method, data: keyExchange.publicValue },
    { kind: "Nonce", data: nr },
    ...announcements(engine, { initiatorSpi, responderSpi, source: request.local, destination: request.remote }),
    childlessSupported,
    ...certificateRequests(peers),
  ]);
  const handshake = {
    cipher: new SaCipher(suite, keys, false),
    ni,
    nr,
    realMessage1: new Uint8Array(datagram),
    realMessage2: response,
    peerHashes: peerHashesOf(message.payloads),
    peerSpeaksKarp: isVendorKarp(engine, message.payloads),
  };
  const path = { initiatorSpi, responderSpi: 0n, source: request.remote, destination: request.local };
  reportNat(engine, message.payloads, path);
  const { local, remote } = request;
  const sa = new IkeSa({
    order: engine.nextNumber(),
    isInitiator: false,
    local,
    remote,
    initiatorSpi,
    responderSpi,
    state: { name: "halfOpen", handshake },
  });
  commit(engine, sa, request, response, suite);
}

function commit(
  engine: EngineContext,
  sa: IkeSa,
  request: SaInitRequest,
  response: Uint8Array,
  suite: CipherSuite,
): void {
  sa.answered = { messageId: 0, mark: request.ni, response };
  sa.expectedRequestId = 1;
  sa.expiry = engine.deadlines.schedule(engine.after(engine.settings.halfOpenSeconds), { kind: "expiry", sa });
  engine.ikeSas.addHalfOpen(sa, request.ni);
  engine.log({ name: "saInitDone", level: "debug", remote: sa.remote, detail: suite.text });
  engine.send(request.local, request.remote, response);
}

function parse(received: ReceivedRequest, message: Message): SaInitRequest {
  const sa = payloadOf(message.payloads, "SA");
  const ke = payloadOf(message.payloads, "KE");
  const nonce = payloadOf(message.payloads, "Nonce");
  if (sa === undefined || ke === undefined || nonce === undefined) throw misbehaved("a payload is missing");
  const { initiatorSpi } = message.header;
  return { ...received, initiatorSpi, proposals: sa.proposals, ke, ni: new Uint8Array(nonce.data) };
}

/** RFC 7296 section 2.21.4: a limit for errors that answer unprotected messages, and for the lines about them. */
function refuseWithError(engine: EngineContext, request: SaInitRequest, notify: NotifyPayload, detail: string): void {
  if (!engine.unprotectedErrors.take(engine.now.monotonic)) {
    engine.counters.suppressedErrors++;
    return;
  }
  engine.log({ name: "saInitRefused", level: "info", remote: request.remote, detail });
  refuse(engine, request, notify);
}

/** RFC 7296 section 2.6: without an IKE SA the responder's SPI is zero in the response too. */
function refuse(engine: EngineContext, request: SaInitRequest, notify: NotifyPayload): void {
  const datagram = encodeMessage(responseHeader(request.initiatorSpi, 0n), [notify]);
  engine.send(request.local, request.remote, datagram);
}

/** RFC 6023 section 4: the notify is about the IKE SA. */
const childlessSupported: NotifyPayload = {
  kind: "N",
  protocolId: SecurityProtocolId.IKE,
  spi: new Uint8Array(0),
  notifyType: NotifyType.CHILDLESS_IKEV2_SUPPORTED,
  data: new Uint8Array(0),
};

/** Who it is we do not know yet, so we ask for whatever any peer at that address may show. */
function certificateRequests(peers: readonly Peer[]): readonly CertReqPayload[] {
  const requests = peers.flatMap((peer) => certificateRequest(peer.config.remoteAuthentication));
  return requests.filter(
    (request, index) => requests.findIndex(({ encoding }) => encoding === request.encoding) === index,
  );
}

function responseHeader(initiatorSpi: bigint, responderSpi: bigint): IkeHeader {
  return {
    initiatorSpi,
    responderSpi,
    majorVersion: 2,
    minorVersion: 0,
    exchangeType: ExchangeType.IKE_SA_INIT,
    isInitiator: false,
    isResponse: true,
    hasHigherVersion: false,
    messageId: 0,
  };
}

function misbehaved(detail: string): PeerMisbehaved {
  return new PeerMisbehaved({ code: "badSaInitRequest", section: "RFC 7296 section 1.2", detail });
}
