/** Rekeying the IKE SA with CREATE_CHILD_SA, RFC 7296 sections 1.3.2, 2.8 and 2.18: both halves. */
import { compareBytes } from "../../bytes/bytes.ts";
import { PeerMisbehaved } from "../../bytes/errors.ts";
import type { Payload, Proposal } from "../../codec/message.ts";
import { decodeInvalidKePayload, encodeInvalidKePayload } from "../../codec/notifies/invalidKePayload.ts";
import { encodePlainNotify } from "../../codec/notifies/notify.ts";
import { deriveRekeyedIkeSaKeys } from "../../crypto/keys.ts";
import type { KeyExchange } from "../../crypto/provider.ts";
import type { CipherSuite } from "../../crypto/suite.ts";
import { buildIkeProposals, checkIkeAnswer, chooseIkeProposal } from "../../policy/ikeProposal.ts";
import { ExchangeType } from "../../registry/exchangeType.ts";
import { nameOf } from "../../registry/nameOf.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import type { EngineContext } from "../context.ts";
import { lowest, newSecured, scheduleRenewal } from "../establishment.ts";
import { type ReceivedRequest, sendProtectedResponse } from "../exchange.ts";
import { IkeSa } from "../ikeSa.ts";
import type { Operation } from "../operation.ts";
import { errorNotifyOf, payloadOf } from "../payloads.ts";
import { closeGracefully } from "../removal.ts";
import { afterTemporaryFailure, enqueue, takeQueue } from "../requests.ts";
import { SaCipher } from "../saCipher.ts";
import type { Secured } from "../states.ts";
import { NONCE_BYTES } from "./saInitPayloads.ts";

interface RekeyOffer {
  readonly spi: bigint;
  readonly proposals: readonly Proposal[];
  readonly method: number;
  readonly pair: KeyExchange;
  readonly ni: Uint8Array;
}

/** HDR, SK {SA, Ni, KEi}  -->  <--  HDR, SK {SA, Nr, KEr} */
export class IkeSaRekey implements Operation {
  readonly name = "rekeyIkeSa";
  readonly exchangeType = ExchangeType.CREATE_CHILD_SA;
  readonly #triedMethods: number[] = [];
  #demandedMethod: number | undefined;
  #offer: RekeyOffer | undefined;

  request(engine: EngineContext, sa: IkeSa): readonly Payload[] | undefined {
    const { state } = sa;
    if (state.name !== "established") return undefined;
    const { suites } = state.secured.peer.config;
    const offered = suites.flatMap((suite) => suite.keyExchange);
    const current = state.secured.cipher.suite.transforms.keyExchange;
    const method = this.#demandedMethod ?? (offered.includes(current) ? current : (offered[0] ?? current));
    const pair = engine.crypto.generateKeyPair(method);
    if (pair === undefined) return undefined;
    this.#triedMethods.push(method);
    const spi = engine.ikeSas.freshSpi(engine.crypto);
    const ni = engine.crypto.random(NONCE_BYTES);
    const proposals = buildIkeProposals(suites, spi);
    this.#offer = { spi, proposals, method, pair, ni };
    return [
      { kind: "SA", proposals },
      { kind: "Nonce", data: ni },
      { kind: "KE", method, data: pair.publicValue },
    ];
  }

  response(engine: EngineContext, sa: IkeSa, payloads: readonly Payload[]): void {
    const offer = this.#offer;
    const { secured } = sa;
    if (secured === undefined || offer === undefined) return;
    const isEstablished = sa.state.name === "established";
    // RFC 7296 section 3.10.1: with an error type in the response, known or not, the request has failed entirely
    if (payloadOf(payloads, "SA") === undefined || errorNotifyOf(payloads) !== undefined) {
      if (isEstablished) this.#refused(engine, sa, secured, payloads);
      return;
    }
    const successor = accept(engine, sa, secured, offer, payloads);
    if (isEstablished) settle(engine, sa, secured, successor);
    else leaveWith(engine, sa, successor);
  }

  failed(): void {}

  /** What the lifetime says will try again; when the peer does not rekey at all, a new IKE SA takes its place. */
  #refused(engine: EngineContext, sa: IkeSa, secured: Secured, payloads: readonly Payload[]): void {
    const error = errorNotifyOf(payloads);
    const peer = secured.peer.name;
    const detail = `the peer refused to rekey the IKE SA: ${error === undefined ? "no reason" : nameOf(NotifyType, error.notifyType)}`;
    engine.log({ name: "rekeyRefused", level: "info", peer, detail });
    if (secured.rekeyedByPeer !== undefined) {
      replace(engine, sa, secured, secured.rekeyedByPeer);
      return;
    }
    if (
      error?.notifyType === NotifyType.INVALID_KE_PAYLOAD &&
      this.#takeDemand(secured, decodeInvalidKePayload(error))
    ) {
      enqueue(engine, sa, this);
      return;
    }
    if (error?.notifyType === NotifyType.TEMPORARY_FAILURE) {
      this.#refusedForNow(engine, sa, secured, detail);
      return;
    }
    // RFC 7296 section 2.8: when rekeying fails, the IKE SA has to be closed, and a new one may be started
    secured.lifetime.reauthenticateAt = engine.now.monotonic;
    scheduleRenewal(engine, sa);
  }

  /** RFC 7296 section 2.25: after several tries over several minutes the two ends are out of step. */
  #refusedForNow(engine: EngineContext, sa: IkeSa, secured: Secured, detail: string): void {
    const { lifetime } = secured;
    const { tries } = engine.settings.temporaryFailure;
    lifetime.rekeyFailures++;
    if (lifetime.rekeyFailures > tries) {
      const { TEMPORARY_FAILURE } = NotifyType;
      const failure = { reason: "refusedByPeer", notifyType: TEMPORARY_FAILURE, detail } as const;
      closeGracefully(engine, sa, { failure, operations: "move" });
      return;
    }
    lifetime.rekeyAt = afterTemporaryFailure(engine);
    scheduleRenewal(engine, sa);
  }

  #takeDemand(secured: Secured, method: number): boolean {
    const isOffered = secured.peer.config.suites.some((suite) => suite.keyExchange.includes(method));
    if (!isOffered || this.#triedMethods.includes(method)) return false;
    this.#demandedMethod = method;
    return true;
  }
}

/** The responder's half. The new IKE SA can be used at once; the initiator will delete the old one. */
export function receiveIkeSaRekey(
  engine: EngineContext,
  sa: IkeSa,
  secured: Secured,
  request: ReceivedRequest,
  payloads: readonly Payload[],
): void {
  const conflict = conflictWith(engine, sa, secured);
  if (conflict !== undefined) {
    engine.log({ name: "rekeyRefused", level: "info", peer: secured.peer.name, detail: conflict });
    sendProtectedResponse(engine, sa, request, [encodePlainNotify(NotifyType.TEMPORARY_FAILURE)]);
    return;
  }
  const offered = payloadOf(payloads, "SA");
  const ke = payloadOf(payloads, "KE");
  const nonce = payloadOf(payloads, "Nonce");
  if (offered === undefined || ke === undefined || nonce === undefined) throw misbehaved("a payload is missing");
  const spi = engine.ikeSas.freshSpi(engine.crypto);
  const options = { spi, sentKeyExchange: ke.method };
  const choice = chooseIkeProposal(offered.proposals, secured.peer.config.suites, options);
  if (!choice.ok || choice.value.peerSpi === undefined || choice.value.peerSpi === 0n) {
    sendProtectedResponse(engine, sa, request, [encodePlainNotify(NotifyType.NO_PROPOSAL_CHOSEN)]);
    return;
  }
  const { suite, peerSpi, answer } = choice.value;
  const method = suite.transforms.keyExchange;
  if (method !== ke.method) {
    sendProtectedResponse(engine, sa, request, [encodeInvalidKePayload(method)]);
    return;
  }
  const pair = engine.crypto.generateKeyPair(method);
  const ni = new Uint8Array(nonce.data);
  const nr = engine.crypto.random(NONCE_BYTES);
  const spis = { initiatorSpi: peerSpi, responderSpi: spi };
  const successor = derive(engine, sa, secured, {
    suite,
    pair,
    peerValue: ke.data,
    ni,
    nr,
    ...spis,
    isInitiator: false,
  });
  sendProtectedResponse(engine, sa, request, [
    { kind: "SA", proposals: [answer] },
    { kind: "Nonce", data: nr },
    { kind: "KE", method, data: pair?.publicValue ?? new Uint8Array(0) },
  ]);
  // RFC 7296 section 2.25.2: while our own rekey is unanswered, the nonces will tell which one stays
  if (sa.outstanding?.operation?.name === "rekeyIkeSa") secured.rekeyedByPeer = successor;
  else replace(engine, sa, secured, successor);
}

/** RFC 7296 section 2.25: what cannot go together with a rekey of the IKE SA. */
function conflictWith(engine: EngineContext, sa: IkeSa, secured: Secured): string | undefined {
  if (sa.state.name !== "established" || secured.rekeyedByPeer !== undefined) return "the IKE SA is already replaced";
  if (!secured.peer.ikeSas.includes(sa)) return "the IKE SA has not taken over yet";
  if (secured.peer.ikeSas.length >= engine.settings.ikeSasPerPeer) return "there are too many IKE SAs with this peer";
  if (secured.held !== undefined || sa.outstanding?.operation?.name === "createMkt") return "an MKT is being made";
  const deleted = sa.outstanding?.operation?.deletedSendIds ?? [];
  return deleted.length > 0 ? "an MKT is being deleted" : undefined;
}

function accept(
  engine: EngineContext,
  sa: IkeSa,
  secured: Secured,
  offer: RekeyOffer,
  payloads: readonly Payload[],
): IkeSa {
  const answer = payloadOf(payloads, "SA");
  const ke = payloadOf(payloads, "KE");
  const nonce = payloadOf(payloads, "Nonce");
  if (answer === undefined || ke === undefined || nonce === undefined) throw misbehaved("a payload is missing");
  const choice = checkIkeAnswer(offer.proposals, answer);
  if (!choice.ok) throw misbehaved(choice.error.detail);
  const { suite, peerSpi } = choice.value;
  if (peerSpi === undefined || ke.method !== offer.method || suite.transforms.keyExchange !== offer.method) {
    throw misbehaved(`the KE payload is of method ${ke.method}`);
  }
  return derive(engine, sa, secured, {
    suite,
    pair: offer.pair,
    peerValue: ke.data,
    ni: offer.ni,
    nr: new Uint8Array(nonce.data),
    initiatorSpi: offer.spi,
    responderSpi: peerSpi,
    isInitiator: true,
  });
}

/** The new IKE SA; who initiated the rekey is its original initiator (RFC 7296 section 1.3.2). */
function derive(
  engine: EngineContext,
  old: IkeSa,
  secured: Secured,
  agreed: {
    readonly suite: CipherSuite;
    readonly pair: KeyExchange | undefined;
    readonly peerValue: Uint8Array;
    readonly ni: Uint8Array;
    readonly nr: Uint8Array;
    readonly initiatorSpi: bigint;
    readonly responderSpi: bigint;
    readonly isInitiator: boolean;
  },
): IkeSa {
  const { suite, ni, nr, initiatorSpi, responderSpi, isInitiator } = agreed;
  // RFC 6989 section 2: the peer's value is tested before use
  const sharedSecret = agreed.pair?.agree(agreed.peerValue);
  if (sharedSecret === undefined) throw misbehaved("the key exchange data are not acceptable");
  const { cipher, peer, peerSpeaksKarp, credentialFingerprint, lifetime } = secured;
  const inputs = { sharedSecret, ni, nr, spiI: initiatorSpi, spiR: responderSpi };
  const keys = deriveRekeyedIkeSaKeys(engine.crypto, cipher.suite.prf, cipher.keys.skD, suite, inputs);
  sharedSecret.erase();
  const order = engine.nextNumber();
  const next = newSecured(engine, {
    cipher: new SaCipher(suite, keys, isInitiator),
    peer,
    peerSpeaksKarp,
    credentialFingerprint,
    lowestNonce: lowest(ni, nr),
    origin: secured.origin,
    reauthenticateAt: lifetime.reauthenticateAt,
  });
  const state = { name: "established", secured: next } as const;
  const { local, remote } = old;
  const sa = new IkeSa({ order, isInitiator, local, remote, initiatorSpi, responderSpi, state, peer });
  engine.ikeSas.add(sa);
  return sa;
}

/** Our rekey succeeded; when the peer's did too, the one with the lowest nonce goes (RFC 7296 section 2.8.2). */
function settle(engine: EngineContext, sa: IkeSa, secured: Secured, own: IkeSa): void {
  const other = secured.rekeyedByPeer;
  const isOwnLower =
    other?.secured !== undefined &&
    own.secured !== undefined &&
    compareBytes(own.secured.lowestNonce, other.secured.lowestNonce) < 0;
  if (other === undefined || !isOwnLower) {
    replace(engine, sa, secured, own);
    closeGracefully(engine, sa, { operations: "move" });
    if (other !== undefined) discardLoser(engine, other, own);
    return;
  }
  // The peer's stays: the peer deletes the old IKE SA, we delete ours
  replace(engine, sa, secured, other);
  discardLoser(engine, own, other);
}

/**
 * We decided to part with this IKE SA while our rekey was unanswered. For the peer, which took the rekey, the new one is
 * in its place: it goes too (RFC 7296 section 2.25.2), and as we began the rekey, we delete both.
 */
function leaveWith(engine: EngineContext, sa: IkeSa, successor: IkeSa): void {
  closeGracefully(engine, sa, { operations: "move" });
  discardLoser(engine, successor, sa);
}

/**
 * The peer deletes the old IKE SA, or it is dead, while our own rekey has no answer: what the peer made is what stays
 * (RFC 7296 section 2.8.2).
 */
export function adoptPeersRekey(engine: EngineContext, sa: IkeSa): void {
  const { secured } = sa;
  if (secured?.rekeyedByPeer !== undefined) replace(engine, sa, secured, secured.rekeyedByPeer);
}

/** Never announced, so it goes without a word to the caller; its creator deletes it. */
function discardLoser(engine: EngineContext, loser: IkeSa, successor: IkeSa): void {
  const { secured } = loser;
  if (secured === undefined) return;
  loser.state = { name: "replaced", secured, successor };
  secured.peer.ikeSas.push(loser);
  if (loser.isInitiator) closeGracefully(engine, loser, { operations: "move" });
  else expireReplaced(engine, loser);
}

/** RFC 7296 section 2.8: the new IKE SA inherits the MKTs and everything that waits. */
function replace(engine: EngineContext, sa: IkeSa, secured: Secured, successor: IkeSa): void {
  const next = successor.secured;
  if (next === undefined) return;
  // The peer may have made MKTs in it before it took over
  for (const [sendId, recvId] of secured.mkts) next.mkts.set(sendId, recvId);
  secured.mkts.clear();
  secured.rekeyedByPeer = undefined;
  sa.state = { name: "replaced", secured, successor };
  scheduleRenewal(engine, sa);
  expireReplaced(engine, sa);
  secured.peer.ikeSas.push(successor);
  for (const operation of takeQueue(sa)) enqueue(engine, successor, operation);
  scheduleRenewal(engine, successor);
  engine.emit({ kind: "ikeSaRekeyed", peer: secured.peer.name });
}

function expireReplaced(engine: EngineContext, sa: IkeSa): void {
  engine.deadlines.cancel(sa.expiry);
  sa.expiry = engine.deadlines.schedule(engine.after(engine.settings.replacedSeconds), { kind: "expiry", sa });
}

function misbehaved(detail: string): PeerMisbehaved {
  return new PeerMisbehaved({
    code: "badIkeSaRekey",
    section: "RFC 7296 section 2.18",
    detail,
    notifyType: NotifyType.INVALID_SYNTAX,
  });
}
