/** The IKE_SA_INIT exchange, RFC 7296 sections 1.2 and 2.6: the initiator's half. */
import { equalBytes } from "../../bytes/bytes.ts";
import { PeerMisbehaved } from "../../bytes/errors.ts";
import { checkPayloads } from "../../codec/checkPayloads.ts";
import { encodeMessage } from "../../codec/codec.ts";
import { exchangeRules } from "../../codec/exchangeRules.ts";
import type { Message, NotifyPayload, Payload } from "../../codec/message.ts";
import { decodeCookie, encodeCookie } from "../../codec/notifies/cookie.ts";
import { decodeInvalidKePayload } from "../../codec/notifies/invalidKePayload.ts";
import { deriveIkeSaKeys } from "../../crypto/keys.ts";
import type { KeyExchange } from "../../crypto/provider.ts";
import type { CipherSuite } from "../../crypto/suite.ts";
import { buildIkeProposals, checkIkeAnswer } from "../../policy/ikeProposal.ts";
import { ExchangeType } from "../../registry/exchangeType.ts";
import { nameOf } from "../../registry/nameOf.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import { failWaiting } from "../attempt.ts";
import type { EngineContext } from "../context.ts";
import { headerOf, replaceRequest, requestAnswered, sendRequest } from "../exchange.ts";
import { IkeSa } from "../ikeSa.ts";
import type { ExchangeFailure, IkeSuite } from "../machine.ts";
import { errorNotifyOf, notifyOf, payloadOf } from "../payloads.ts";
import type { Peer } from "../peers.ts";
import { SaCipher } from "../saCipher.ts";
import type { Handshake, SaInitSent } from "../states.ts";
import { sendAuthRequest } from "./auth.ts";
import { announcements, isVendorKarp, NONCE_BYTES, peerHashesOf, reportNat } from "./saInitPayloads.ts";

/** HDR(A,0), SAi1, KEi, Ni  -->: begins an IKE SA with the peer. */
export function initiate(engine: EngineContext, peer: Peer): void {
  const own = firstKeyPair(engine, peer.config.suites);
  if (own === undefined) {
    const detail = "none of the configured key exchange methods is supported";
    failWaiting(engine, peer, { reason: "noProposalChosen", detail });
    return;
  }
  const state: SaInitSent = {
    name: "saInitSent",
    ni: engine.crypto.random(NONCE_BYTES),
    keyExchange: own.keyExchange,
    keyExchangeMethod: own.method,
    triedMethods: [own.method],
    cookie: undefined,
    retries: 0,
    complaint: undefined,
  };
  const sa = new IkeSa({
    order: engine.nextNumber(),
    isInitiator: true,
    local: peer.config.local,
    remote: peer.config.remote,
    initiatorSpi: engine.ikeSas.freshSpi(engine.crypto),
    responderSpi: 0n,
    state,
    peer,
  });
  engine.ikeSas.add(sa);
  peer.attempt = sa;
  peer.ikeSas.push(sa);
  sendRequest(engine, sa, ExchangeType.IKE_SA_INIT, requestDatagram(engine, sa, peer, state));
}

/**
 * Nothing in this message is authenticated, so it may only lead to a further request of ours. Throws ProtocolFault when
 * it is of no use; the attempt then goes on waiting (RFC 7296 section 2.21.1).
 */
export function receiveSaInitResponse(engine: EngineContext, sa: IkeSa, message: Message, datagram: Uint8Array): void {
  const { state, peer } = sa;
  if (state.name !== "saInitSent" || peer === undefined || sa.outstanding === undefined) {
    engine.counters.unexpected++;
    return;
  }
  const { payloads } = message;
  if (payloadOf(payloads, "SA") === undefined) {
    checkPayloads(exchangeRules.ikeSaInit.refusal, payloads);
    receiveRefusal(engine, sa, peer, state, payloads);
    return;
  }
  checkPayloads(exchangeRules.ikeSaInit.response, payloads);
  const error = errorNotifyOf(payloads);
  if (error !== undefined) {
    // RFC 7296 section 3.10.1: with an error type in the response, known or not, the request has failed entirely
    rememberComplaint(engine, sa, complaintOf(error));
    return;
  }
  const { handshake, keyed } = verifyResponse(engine, sa, peer, state, message, datagram);
  const { responderSpi } = message.header;
  reportNat(
    engine,
    payloads,
    { initiatorSpi: sa.initiatorSpi, responderSpi, source: sa.remote, destination: sa.local },
    peer.name,
  );
  requestAnswered(engine, sa);
  sa.responderSpi = responderSpi;
  engine.log({ name: "saInitDone", level: "debug", peer: peer.name, detail: keyed.text });
  const isChildlessPossible = notifyOf(payloads, NotifyType.CHILDLESS_IKEV2_SUPPORTED) !== undefined;
  sendAuthRequest(engine, sa, peer, handshake, isChildlessPossible);
}

/** Kept until the time is over, then told to the caller (RFC 7296 section 2.21.1). */
export function rememberComplaint(engine: EngineContext, sa: IkeSa, complaint: ExchangeFailure): void {
  if (sa.state.name !== "saInitSent") return;
  sa.state = { ...sa.state, complaint };
  const peer = sa.peer === undefined ? {} : { peer: sa.peer.name };
  engine.log({ name: "saInitComplaint", level: "info", ...peer, remote: sa.remote, detail: complaint.detail });
}

function receiveRefusal(
  engine: EngineContext,
  sa: IkeSa,
  peer: Peer,
  state: SaInitSent,
  payloads: readonly Payload[],
): void {
  const cookie = notifyOf(payloads, NotifyType.COOKIE);
  const demand = notifyOf(payloads, NotifyType.INVALID_KE_PAYLOAD);
  const error = errorNotifyOf(payloads);
  if (cookie !== undefined) {
    // RFC 7296 section 2.6: MUST retry with the cookie as the first payload and all other payloads unchanged
    retry(engine, sa, peer, { ...state, cookie: new Uint8Array(decodeCookie(cookie)) });
  } else if (demand !== undefined) {
    retryWithMethod(engine, sa, peer, state, demand);
  } else if (error !== undefined) {
    rememberComplaint(engine, sa, complaintOf(error));
  }
}

/** RFC 7296 section 1.2: MUST retry with the group asked for; ours to check that we offered it, once for each group. */
function retryWithMethod(engine: EngineContext, sa: IkeSa, peer: Peer, state: SaInitSent, demand: NotifyPayload): void {
  const method = decodeInvalidKePayload(demand);
  const isOffered = methodsOf(peer.config.suites).includes(method);
  const keyExchange =
    isOffered && !state.triedMethods.includes(method) ? engine.crypto.generateKeyPair(method) : undefined;
  if (keyExchange === undefined) {
    rememberComplaint(engine, sa, {
      reason: "noProposalChosen",
      notifyType: NotifyType.INVALID_KE_PAYLOAD,
      detail: `the peer wants key exchange method ${method}, which was ${isOffered ? "tried" : "not offered"}`,
    });
    return;
  }
  const triedMethods = [...state.triedMethods, method];
  retry(engine, sa, peer, { ...state, keyExchange, keyExchangeMethod: method, triedMethods });
}

/** RFC 7296 section 2.6: the number of retries is limited, since anybody can ask for them. */
function retry(engine: EngineContext, sa: IkeSa, peer: Peer, next: SaInitSent): void {
  if (next.retries >= engine.settings.saInitRetries) return;
  const state = { ...next, retries: next.retries + 1 };
  sa.state = state;
  replaceRequest(engine, sa, requestDatagram(engine, sa, peer, state));
}

function requestDatagram(engine: EngineContext, sa: IkeSa, peer: Peer, state: SaInitSent): Uint8Array {
  const { initiatorSpi, responderSpi, local, remote } = sa;
  return encodeMessage(headerOf(sa, ExchangeType.IKE_SA_INIT, 0, false), [
    ...(state.cookie === undefined ? [] : [encodeCookie(state.cookie)]),
    { kind: "SA", proposals: buildIkeProposals(peer.config.suites) },
    { kind: "KE", method: state.keyExchangeMethod, data: state.keyExchange.publicValue },
    { kind: "Nonce", data: state.ni },
    ...announcements(engine, { initiatorSpi, responderSpi, source: local, destination: remote }),
  ]);
}

function verifyResponse(
  engine: EngineContext,
  sa: IkeSa,
  peer: Peer,
  state: SaInitSent,
  message: Message,
  datagram: Uint8Array,
): { readonly handshake: Handshake; readonly keyed: CipherSuite } {
  const { crypto } = engine;
  const { payloads, header } = message;
  const answer = payloadOf(payloads, "SA");
  const ke = payloadOf(payloads, "KE");
  const nonce = payloadOf(payloads, "Nonce");
  if (answer === undefined || ke === undefined || nonce === undefined) throw misbehaved("a payload is missing");
  // RFC 7296 section 2.7: the initiator MUST verify that the accepted offer is one of its proposals
  const choice = checkIkeAnswer(buildIkeProposals(peer.config.suites), answer);
  if (!choice.ok) throw misbehaved(choice.error.detail);
  const { suite } = choice.value;
  if (ke.method !== state.keyExchangeMethod || suite.transforms.keyExchange !== ke.method) {
    throw misbehaved(`the KE payload is of method ${ke.method}`);
  }
  if (header.responderSpi === 0n || engine.ikeSas.find(header.responderSpi) !== undefined) {
    throw misbehaved("the responder's SPI is zero or one of ours");
  }
  if (equalBytes(nonce.data, state.ni) || equalBytes(ke.data, state.keyExchange.publicValue)) {
    engine.counters.reflected++;
    throw misbehaved("our own nonce or key exchange data came back");
  }
  // RFC 6989 section 2: the peer's value is tested before use
  const sharedSecret = state.keyExchange.agree(ke.data);
  if (sharedSecret === undefined) throw misbehaved("the key exchange data are not acceptable");
  const nr = new Uint8Array(nonce.data);
  const spis = { spiI: sa.initiatorSpi, spiR: header.responderSpi };
  const keys = deriveIkeSaKeys(crypto, suite, { sharedSecret, ni: state.ni, nr, ...spis });
  sharedSecret.erase();
  const handshake: Handshake = {
    cipher: new SaCipher(suite, keys, true),
    ni: state.ni,
    nr,
    realMessage1: sa.outstanding?.datagram ?? new Uint8Array(0),
    realMessage2: new Uint8Array(datagram),
    peerHashes: peerHashesOf(payloads),
    peerSpeaksKarp: isVendorKarp(engine, payloads),
  };
  return { handshake, keyed: suite };
}

function complaintOf(error: NotifyPayload): ExchangeFailure {
  const { notifyType } = error;
  const isProposal = notifyType === NotifyType.NO_PROPOSAL_CHOSEN;
  return {
    reason: isProposal ? "noProposalChosen" : "refusedByPeer",
    notifyType,
    detail: `IKE_SA_INIT was answered with ${nameOf(NotifyType, notifyType)}`,
  };
}

function methodsOf(suites: readonly IkeSuite[]): readonly number[] {
  return [...new Set(suites.flatMap((suite) => suite.keyExchange))];
}

function firstKeyPair(
  engine: EngineContext,
  suites: readonly IkeSuite[],
): { readonly method: number; readonly keyExchange: KeyExchange } | undefined {
  for (const method of methodsOf(suites)) {
    const keyExchange = engine.crypto.generateKeyPair(method);
    if (keyExchange !== undefined) return { method, keyExchange };
  }
  return undefined;
}

function misbehaved(detail: string): PeerMisbehaved {
  return new PeerMisbehaved({ code: "badSaInitResponse", section: "RFC 7296 section 1.2", detail });
}
