/**
 * Making an MKT, in IKE_AUTH or CREATE_CHILD_SA (RFC 7296 sections 1.3.1 and 1.3.3, draft-mahesh-karp-rkmp section 3):
 * the initiator's half. The responder's is in acceptMkt.ts.
 */
import type { NotifyPayload, Payload } from "../../codec/message.ts";
import { encodeRekeySa } from "../../codec/notifies/childSa.ts";
import { decodeInvalidKePayload } from "../../codec/notifies/invalidKePayload.ts";
import { decodeKeyIdInUse, decodeKeyIdsTaken, encodeKeyIdsTaken } from "../../codec/notifies/keyIds.ts";
import { encodeKeyLifetime } from "../../codec/notifies/keyLifetime.ts";
import { buildMktProposals, type MktExchange } from "../../policy/mktProposal.ts";
import { ExchangeType } from "../../registry/exchangeType.ts";
import { KeyExchangeMethod } from "../../registry/keyExchangeMethod.ts";
import { nameOf } from "../../registry/nameOf.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import { SecurityProtocolId } from "../../registry/securityProtocolId.ts";
import type { EngineContext } from "../context.ts";
import type { IkeSa } from "../ikeSa.ts";
import type { ExchangeFailure, IkeInput, KeyIdBitmap, NegotiatedMkt } from "../machine.ts";
import type { PeerOperation } from "../operation.ts";
import { errorNotifyOf, notifyOf, payloadOf } from "../payloads.ts";
import type { Peer } from "../peers.ts";
import { closeGracefully } from "../removal.ts";
import { enqueue, retryLater, submit } from "../requests.ts";
import type { Secured } from "../states.ts";
import { Inform } from "./inform.ts";
import { peerLifetimeOf } from "./lifetimeHint.ts";
import { masterKeyOf } from "./masterKey.ts";
import { type AcceptedMkt, checkMktResponse, type MktOffer } from "./mktAnswer.ts";
import { NONCE_BYTES } from "./saInitPayloads.ts";

export type CreateMktRequest = Extract<IkeInput, { readonly kind: "createMkt" }>;

interface OfferOptions {
  readonly exchange: MktExchange;
  readonly peerSpeaksKarp: boolean;
  /** Our SendID of the MKT to be replaced, where the IKE SA owns it. */
  readonly rekeys?: number | undefined;
}

type Nonces = NegotiatedMkt["nonces"];

/** What the exchange brought besides the answer itself. */
interface Around {
  readonly nonces: Nonces;
  readonly rekeys: number | undefined;
  readonly peerLifetime: NegotiatedMkt["peerLifetime"];
}

export class MktCreation implements PeerOperation {
  readonly name = "createMkt";
  readonly exchangeType = ExchangeType.CREATE_CHILD_SA;
  readonly connects = true;
  readonly requestId: number;
  readonly peer: Peer;
  moves = 0;
  readonly #wanted: CreateMktRequest;
  readonly #triedMethods: number[] = [];
  #offer: MktOffer | undefined;
  /** What INVALID_KE_PAYLOAD asked for. */
  #demandedMethod: number | undefined;
  #temporaryFailures = 0;
  /** REKEY_SA met CHILD_SA_NOT_FOUND. */
  #isPlain = false;
  isOver = false;

  constructor(peer: Peer, wanted: CreateMktRequest) {
    this.peer = peer;
    this.#wanted = wanted;
    this.requestId = wanted.requestId;
  }

  /** [N(REKEY_SA),] SA, Ni, [KEi,] TSi, TSr, [N(KMP_KEYIDS_TAKEN), N(KMP_KEY_LIFETIME)]  --> */
  request(engine: EngineContext, sa: IkeSa): readonly Payload[] | undefined {
    const { secured } = sa;
    if (this.isOver || secured === undefined) return undefined;
    secured.lifetime.lastUsedAt = engine.now.monotonic;
    const { rekeys } = this.#wanted;
    const isOwned = rekeys !== undefined && !this.#isPlain && secured.mkts.has(rekeys);
    const { peerSpeaksKarp } = secured;
    return this.offer(engine, { exchange: "CREATE_CHILD_SA", peerSpeaksKarp, rekeys: isOwned ? rekeys : undefined });
  }

  /** The payloads that ask for the MKT, in whichever exchange. */
  offer(engine: EngineContext, options: OfferOptions): readonly Payload[] {
    const { terms, sendId, taken, lifetime } = this.#wanted;
    const { exchange, peerSpeaksKarp, rekeys } = options;
    const isCreate = exchange === "CREATE_CHILD_SA";
    const keyExchange = isCreate ? this.#generate(engine) : undefined;
    const ni = isCreate ? engine.crypto.random(NONCE_BYTES) : undefined;
    const proposals = buildMktProposals(terms, sendId, exchange);
    this.#offer = { exchange, proposals, keyExchange, ni, rekeys };
    const payloads: Payload[] = rekeys === undefined ? [] : [encodeRekeySa(mktName(rekeys))];
    payloads.push({ kind: "SA", proposals });
    if (ni !== undefined) payloads.push({ kind: "Nonce", data: ni });
    if (keyExchange !== undefined) {
      payloads.push({ kind: "KE", method: keyExchange.method, data: keyExchange.pair.publicValue });
    }
    payloads.push({ kind: "TSi", selectors: terms.localSelectors }, { kind: "TSr", selectors: terms.remoteSelectors });
    if (peerSpeaksKarp) payloads.push(encodeKeyIdsTaken(taken));
    if (peerSpeaksKarp && lifetime !== undefined) payloads.push(encodeKeyLifetime(lifetime));
    return payloads;
  }

  response(engine: EngineContext, sa: IkeSa, payloads: readonly Payload[]): void {
    const initiator = this.#offer?.ni;
    if (sa.secured === undefined || initiator === undefined) return;
    const responder = new Uint8Array(payloadOf(payloads, "Nonce")?.data ?? []);
    this.receiveAnswer(engine, sa, sa.secured, payloads, { initiator, responder });
  }

  /** <--  SA, [Nr, [KEr,]] TSi, TSr, [N(KMP_KEY_LIFETIME)], or a notify that says why not; inside of IKE_AUTH or CREATE_CHILD_SA. */
  receiveAnswer(
    engine: EngineContext,
    sa: IkeSa,
    secured: Secured,
    payloads: readonly Payload[],
    nonces: Nonces,
  ): void {
    if (payloadOf(payloads, "SA") === undefined) {
      this.#refused(engine, sa, secured, payloads);
      return;
    }
    const error = errorNotifyOf(payloads);
    if (error !== undefined) {
      // RFC 7296 section 3.10.1: with an error type in the response, known or not, the request has failed entirely
      enqueue(engine, sa, Inform.deletion(this.peer, this.#wanted.sendId));
      this.failed(engine, refusalOf(error), takenByPeer(error, payloads, secured));
      return;
    }
    const offer = this.#offer;
    const accepted = offer === undefined ? undefined : checkMktResponse(offer, this.#wanted, payloads);
    if (accepted === undefined || !accepted.ok || this.isOver) {
      // The peer has an MKT that we do not take, or that nobody waits for any more: it must not keep it.
      enqueue(engine, sa, Inform.deletion(this.peer, this.#wanted.sendId));
      if (accepted?.ok === true) accepted.value.sharedSecret?.erase();
      const detail = accepted?.ok === false ? accepted.error : "nothing was asked for";
      this.failed(engine, { reason: "invalidResponse", detail });
      return;
    }
    const peerLifetime = peerLifetimeOf(engine, secured, payloads);
    this.#succeed(engine, secured, accepted.value, { nonces, rekeys: offer?.rekeys, peerLifetime });
  }

  failed(engine: EngineContext, failure: ExchangeFailure, takenByPeer?: KeyIdBitmap): void {
    if (this.isOver) return;
    this.#finish(engine);
    const taken = takenByPeer === undefined ? {} : { takenByPeer };
    engine.emit({ kind: "mktFailed", peer: this.peer.name, requestId: this.requestId, failure, ...taken });
  }

  abandon(engine: EngineContext): void {
    this.failed(engine, { reason: "abandoned", detail: "given up by the caller" });
    this.peer.stopWaiting(this);
  }

  #succeed(engine: EngineContext, secured: Secured, accepted: AcceptedMkt, around: Around): void {
    const { choice, localSelectors, remoteSelectors, sharedSecret } = accepted;
    const { nonces, rekeys, peerLifetime } = around;
    const { sendId, lifetime } = this.#wanted;
    const masterKey = masterKeyOf(engine, secured.cipher, choice.integrity, nonces, sharedSecret);
    secured.mkts.set(sendId, choice.recvId);
    this.#finish(engine);
    engine.emit({
      kind: "mktNegotiated",
      peer: this.peer.name,
      isInitiator: true,
      requestId: this.requestId,
      sendId,
      masterKey,
      ...choice,
      localSelectors,
      remoteSelectors,
      ...(rekeys === undefined ? {} : { replaces: rekeys }),
      credentialFingerprint: secured.credentialFingerprint,
      ...(lifetime === undefined ? {} : { lifetime }),
      ...(peerLifetime === undefined ? {} : { peerLifetime }),
      nonces,
    });
  }

  #refused(engine: EngineContext, sa: IkeSa, secured: Secured, payloads: readonly Payload[]): void {
    const error = errorNotifyOf(payloads);
    if (error === undefined) {
      this.failed(engine, { reason: "invalidResponse", detail: "neither an MKT nor an error" });
      return;
    }
    switch (error.notifyType) {
      case NotifyType.INVALID_KE_PAYLOAD:
        this.#retryWithMethod(engine, error);
        return;
      case NotifyType.CHILD_SA_NOT_FOUND:
        this.#retryPlain(engine, error);
        return;
      case NotifyType.TEMPORARY_FAILURE:
        this.#retryLater(engine, sa, error);
        return;
      default:
        this.failed(engine, refusalOf(error), takenByPeer(error, payloads, secured));
    }
  }

  /** RFC 7296 section 1.3: with the method that the responder wants, if we offered it and have not tried it. */
  #retryWithMethod(engine: EngineContext, error: NotifyPayload): void {
    const method = decodeInvalidKePayload(error);
    const isOffered = method !== KeyExchangeMethod.NONE && this.#wanted.terms.keyExchange.includes(method);
    if (!isOffered || this.#triedMethods.includes(method)) {
      this.failed(engine, refusalOf(error));
      return;
    }
    this.#demandedMethod = method;
    this.#again(engine);
  }

  /** RFC 7296 section 2.25: the Child SA is made from scratch. */
  #retryPlain(engine: EngineContext, error: NotifyPayload): void {
    if (this.#offer?.rekeys === undefined) {
      this.failed(engine, refusalOf(error));
      return;
    }
    this.#isPlain = true;
    this.#again(engine);
  }

  /** RFC 7296 section 2.25: several times over several minutes; then the two ends are out of step. */
  #retryLater(engine: EngineContext, sa: IkeSa, error: NotifyPayload): void {
    this.#temporaryFailures++;
    if (this.isOver) return;
    if (this.#temporaryFailures <= engine.settings.temporaryFailure.tries) {
      retryLater(engine, this.peer, this);
      return;
    }
    const failure = refusalOf(error);
    this.failed(engine, failure);
    closeGracefully(engine, sa, { failure, operations: "move" });
  }

  #again(engine: EngineContext): void {
    if (!this.isOver) submit(engine, this.peer, this);
  }

  #finish(engine: EngineContext): void {
    this.isOver = true;
    engine.pending.delete(this.requestId);
  }

  #generate(engine: EngineContext): MktOffer["keyExchange"] {
    const { keyExchange } = this.#wanted.terms;
    const candidates = this.#demandedMethod === undefined ? keyExchange : [this.#demandedMethod];
    for (const method of candidates) {
      const pair = method === KeyExchangeMethod.NONE ? undefined : engine.crypto.generateKeyPair(method);
      if (pair === undefined) continue;
      this.#triedMethods.push(method);
      return { method, pair };
    }
    return undefined;
  }
}

/** How REKEY_SA and CHILD_SA_NOT_FOUND name an MKT: by the SendID of the notify's first sender. */
export function mktName(sendId: number): { readonly protocolId: number; readonly spi: Uint8Array } {
  return { protocolId: SecurityProtocolId.TCP_AO, spi: Uint8Array.of(sendId) };
}

function refusalOf(error: NotifyPayload): ExchangeFailure {
  const { notifyType } = error;
  const isProposal = notifyType === NotifyType.NO_PROPOSAL_CHOSEN || notifyType === NotifyType.INVALID_KE_PAYLOAD;
  return {
    reason: isProposal ? "noProposalChosen" : "refusedByPeer",
    notifyType,
    detail: `the peer refused the MKT: ${nameOf(NotifyType, notifyType)}`,
  };
}

/** The KeyIDs that the peer cannot take, so that the next request proposes another one. */
function takenByPeer(error: NotifyPayload, payloads: readonly Payload[], secured: Secured): KeyIdBitmap | undefined {
  if (!secured.peerSpeaksKarp) return undefined;
  if (error.notifyType === NotifyType.KEYID_IN_USE) return new Uint8Array(decodeKeyIdInUse(error));
  const taken = notifyOf(payloads, NotifyType.KMP_KEYIDS_TAKEN);
  return taken === undefined ? undefined : new Uint8Array(decodeKeyIdsTaken(taken));
}
