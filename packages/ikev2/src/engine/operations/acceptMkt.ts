/**
 * Making an MKT, in IKE_AUTH or CREATE_CHILD_SA (RFC 7296 sections 1.3.1 and 1.3.3, draft-mahesh-karp-rkmp section 3):
 * the responder's half. The initiator's is in createMkt.ts.
 */
import { PeerMisbehaved } from "../../bytes/errors.ts";
import type { Secret } from "../../bytes/secret.ts";
import type { NotifyPayload, Payload, SaPayload } from "../../codec/message.ts";
import { type ChildSaName, decodeRekeySa, encodeChildSaNotFound } from "../../codec/notifies/childSa.ts";
import { encodeInvalidKePayload } from "../../codec/notifies/invalidKePayload.ts";
import { decodeKeyIdsTaken } from "../../codec/notifies/keyIds.ts";
import { encodeKeyLifetime } from "../../codec/notifies/keyLifetime.ts";
import { encodePlainNotify } from "../../codec/notifies/notify.ts";
import { chooseMktProposal, type MktExchange, offeredSendId } from "../../policy/mktProposal.ts";
import { narrow } from "../../policy/trafficSelectors.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import { SecurityProtocolId } from "../../registry/securityProtocolId.ts";
import type { EngineContext } from "../context.ts";
import { type ReceivedRequest, sendProtectedResponse } from "../exchange.ts";
import type { IkeSa } from "../ikeSa.ts";
import type { MktDecision, MktRequest, NegotiatedMkt } from "../machine.ts";
import { notifyOf, payloadOf } from "../payloads.ts";
import type { HeldResponse, Secured } from "../states.ts";
import { peerLifetimeOf } from "./lifetimeHint.ts";
import { masterKeyOf } from "./masterKey.ts";
import { copy } from "./mktAnswer.ts";
import { NONCE_BYTES } from "./saInitPayloads.ts";

export interface MktQuestion {
  readonly exchange: MktExchange;
  readonly request: ReceivedRequest;
  readonly payloads: readonly Payload[];
  /** Those of IKE_SA_INIT, in IKE_AUTH. */
  readonly nonces?: NegotiatedMkt["nonces"];
  /** IDr, CERT, AUTH: what the IKE_AUTH response begins with. */
  readonly identified: readonly Payload[];
}

/** A request that was refused: what to answer, and a sentence for the log. */
interface Refusal {
  readonly kind: "refusal";
  readonly notify: NotifyPayload;
  readonly detail: string;
}

interface Acceptance {
  readonly kind: "acceptance";
  readonly mkt: NegotiatedMkt;
  readonly payloads: readonly Payload[];
}

type Accepted = Extract<MktDecision, { readonly kind: "accept" }>;

/** Answers at once when it is a refusal; else the answer is held until the MKT is on disk. */
export function answerMkt(engine: EngineContext, sa: IkeSa, secured: Secured, question: MktQuestion): void {
  const { request, identified } = question;
  const outcome = negotiate(engine, sa, secured, question);
  if (outcome.kind === "refusal") {
    const { detail } = outcome;
    engine.log({ name: "mktRefused", level: "info", peer: secured.peer.name, remote: request.remote, detail });
    sendProtectedResponse(engine, sa, request, [...identified, outcome.notify]);
    return;
  }
  const commitId = engine.nextNumber();
  secured.held = {
    commitId,
    request,
    isInIkeAuth: question.exchange === "IKE_AUTH",
    payloads: [...identified, ...outcome.payloads],
    payloadsOnAbort: identified,
    mkt: outcome.mkt,
  };
  engine.awaitingAnswer.set(commitId, sa);
  engine.deadlines.cancel(sa.expiry);
  sa.expiry = engine.deadlines.schedule(engine.after(engine.settings.commitSeconds), { kind: "expiry", sa });
  engine.emit({ kind: "mktNegotiated", ...outcome.mkt, commitId });
}

/** The MKT is on disk: the response may leave. */
export function commitMkt(engine: EngineContext, sa: IkeSa, secured: Secured, held: HeldResponse): void {
  secured.mkts.set(held.mkt.sendId, held.mkt.recvId);
  release(engine, sa, secured, held, held.payloads);
}

/** Nobody said in time that the MKT is stored: the peer hears of it no more, so whoever keeps it need not wait for it. */
export function giveUpMkt(engine: EngineContext, sa: IkeSa, secured: Secured, held: HeldResponse): void {
  engine.emit({ kind: "mktsDeleted", peer: secured.peer.name, recvIds: [held.mkt.recvId] });
  abortMkt(engine, sa, secured, held, NotifyType.TEMPORARY_FAILURE);
}

/** The MKT could not be stored: the peer is told so, and none of it stays. */
export function abortMkt(
  engine: EngineContext,
  sa: IkeSa,
  secured: Secured,
  held: HeldResponse,
  notifyType: number,
): void {
  release(engine, sa, secured, held, [...held.payloadsOnAbort, publicNotify(secured, notifyType)]);
}

function release(
  engine: EngineContext,
  sa: IkeSa,
  secured: Secured,
  held: HeldResponse,
  payloads: readonly Payload[],
): void {
  engine.awaitingAnswer.delete(held.commitId);
  secured.held = undefined;
  engine.deadlines.cancel(sa.expiry);
  const { name } = sa.state;
  const isLeaving = name === "redundant" || name === "replaced";
  sa.expiry = isLeaving
    ? engine.deadlines.schedule(engine.after(engine.settings.replacedSeconds), { kind: "expiry", sa })
    : undefined;
  sendProtectedResponse(engine, sa, held.request, payloads);
  engine.wake(sa);
}

function negotiate(engine: EngineContext, sa: IkeSa, secured: Secured, question: MktQuestion): Refusal | Acceptance {
  const { payloads, exchange } = question;
  const offered = payloadOf(payloads, "SA");
  // ESP, AH and whatever else: we make MKTs only
  const recvId = offered === undefined ? undefined : offeredSendId(offered.proposals);
  if (offered === undefined || recvId === undefined) {
    return refusal(NotifyType.NO_PROPOSAL_CHOSEN, "none of the proposals is one for TCP_AO");
  }
  const conflict = exchange === "CREATE_CHILD_SA" ? conflictWith(sa) : undefined;
  if (conflict !== undefined) return refusal(NotifyType.TEMPORARY_FAILURE, conflict);
  const rekeyed = rekeyedMkt(sa, secured, payloads);
  if (rekeyed.kind === "refusal") return rekeyed;
  const asked = mktRequest(engine, secured, question, { recvId, rekeys: rekeyed.recvId });
  const decision = engine.policy.consider(asked, engine.now);
  if (decision.kind === "refuse") {
    const { named } = rekeyed;
    // RFC 7296 section 2.25: the SPI is copied
    if (decision.notifyType === NotifyType.CHILD_SA_NOT_FOUND && named !== undefined) {
      return { kind: "refusal", notify: encodeChildSaNotFound(named), detail: decision.detail };
    }
    const notify = publicNotify(secured, decision.notifyType, decision.data);
    return { kind: "refusal", notify, detail: decision.detail };
  }
  return accept(engine, secured, question, asked, offered, decision);
}

/** RFC 7296 section 2.25.2: while we rekey or close the IKE SA. */
function conflictWith(sa: IkeSa): string | undefined {
  if (sa.state.name === "replaced" || sa.state.name === "closing") return "the IKE SA was replaced or is being closed";
  return sa.outstanding?.operation?.name === "rekeyIkeSa" ? "the IKE SA is being rekeyed" : undefined;
}

interface Rekeyed {
  readonly kind: "found";
  /** Undefined: a new MKT is asked for. */
  readonly recvId: number | undefined;
  /** As REKEY_SA named it. */
  readonly named: ChildSaName | undefined;
}

/** RFC 7296 section 1.3.3: the MKT that REKEY_SA names, by the peer's SendID. */
function rekeyedMkt(sa: IkeSa, secured: Secured, payloads: readonly Payload[]): Refusal | Rekeyed {
  const notify = notifyOf(payloads, NotifyType.REKEY_SA);
  if (notify === undefined) return { kind: "found", recvId: undefined, named: undefined };
  const name = decodeRekeySa(notify);
  const recvId = name.protocolId === SecurityProtocolId.TCP_AO ? name.spi[0] : undefined;
  const entry = [...secured.mkts].find(([, known]) => known === recvId);
  // RFC 7296 section 2.25: the SPI is copied
  if (recvId === undefined || entry === undefined) {
    return { kind: "refusal", notify: encodeChildSaNotFound(name), detail: "this IKE SA has no such MKT" };
  }
  // RFC 7296 section 2.25.1: a request to rekey what we are closing
  const isClosing = sa.outstanding?.operation?.deletedSendIds?.includes(entry[0]) === true;
  if (isClosing) return refusal(NotifyType.TEMPORARY_FAILURE, "this MKT is being deleted");
  return { kind: "found", recvId, named: name };
}

function mktRequest(
  engine: EngineContext,
  secured: Secured,
  question: MktQuestion,
  { recvId, rekeys }: { readonly recvId: number; readonly rekeys: number | undefined },
): MktRequest {
  const { payloads } = question;
  const peerLifetime = peerLifetimeOf(engine, secured, payloads);
  const taken = secured.peerSpeaksKarp ? notifyOf(payloads, NotifyType.KMP_KEYIDS_TAKEN) : undefined;
  const tsi = payloadOf(payloads, "TSi")?.selectors.map(copy);
  const tsr = payloadOf(payloads, "TSr")?.selectors.map(copy);
  return {
    peer: secured.peer.name,
    recvId,
    // TSi is the end of who asks: the peer's
    ...(tsi === undefined || tsr === undefined ? {} : { localSelectors: tsr, remoteSelectors: tsi }),
    ...(taken === undefined ? {} : { taken: new Uint8Array(decodeKeyIdsTaken(taken)) }),
    ...(rekeys === undefined ? {} : { rekeys }),
    ...(peerLifetime === undefined ? {} : { peerLifetime }),
    inIkeAuth: question.exchange === "IKE_AUTH",
  };
}

function accept(
  engine: EngineContext,
  secured: Secured,
  question: MktQuestion,
  asked: MktRequest,
  offered: SaPayload,
  decision: Accepted,
): Refusal | Acceptance {
  const { exchange, payloads } = question;
  const ke = payloadOf(payloads, "KE");
  const { sendId, terms, lifetime } = decision;
  const { peerLifetime } = asked;
  const chosen = chooseMktProposal(offered.proposals, terms, {
    sendId,
    recvId: asked.recvId,
    exchange,
    ...(ke === undefined ? {} : { sentKeyExchange: ke.method }),
  });
  if (!chosen.ok) return refusal(NotifyType.NO_PROPOSAL_CHOSEN, chosen.error.detail);
  const { answer, ...choice } = chosen.value;
  if (choice.keyExchange !== undefined && choice.keyExchange !== ke?.method) {
    // RFC 7296 section 1.3: MUST reject the request and indicate the preferred group
    const detail = `key exchange method ${choice.keyExchange} is wanted`;
    return { kind: "refusal", notify: encodeInvalidKePayload(choice.keyExchange), detail };
  }
  const selectors = narrowed(asked, decision);
  if (selectors === undefined) return refusal(NotifyType.TS_UNACCEPTABLE, "no traffic that both ends allow");
  const agreed = choice.keyExchange === undefined ? undefined : agree(engine, choice.keyExchange, ke?.data);
  const nonces = question.nonces ?? freshNonces(engine, payloads);
  const masterKey = masterKeyOf(engine, secured.cipher, choice.integrity, nonces, agreed?.sharedSecret);
  const { localSelectors, remoteSelectors } = selectors;
  return {
    kind: "acceptance",
    mkt: {
      peer: secured.peer.name,
      isInitiator: false,
      sendId,
      masterKey,
      ...choice,
      localSelectors,
      remoteSelectors,
      ...(decision.replaces === undefined ? {} : { replaces: decision.replaces }),
      context: decision.context,
      credentialFingerprint: secured.credentialFingerprint,
      ...(lifetime === undefined ? {} : { lifetime }),
      ...(peerLifetime === undefined ? {} : { peerLifetime }),
      nonces,
    },
    payloads: [
      { kind: "SA", proposals: [answer] },
      ...(question.nonces === undefined ? [{ kind: "Nonce", data: nonces.responder } as const] : []),
      ...(agreed === undefined ? [] : [{ kind: "KE", method: agreed.method, data: agreed.publicValue } as const]),
      ...(asked.localSelectors === undefined
        ? []
        : ([
            { kind: "TSi", selectors: remoteSelectors },
            { kind: "TSr", selectors: localSelectors },
          ] as const)),
      ...(lifetime === undefined || !secured.peerSpeaksKarp ? [] : [encodeKeyLifetime(lifetime)]),
    ],
  };
}

/** RFC 7296 section 2.9; without TS payloads the MKT is for all that the policy says. */
function narrowed(
  asked: MktRequest,
  decision: Accepted,
): Pick<NegotiatedMkt, "localSelectors" | "remoteSelectors"> | undefined {
  const { terms } = decision;
  if (asked.localSelectors === undefined || asked.remoteSelectors === undefined) {
    return { localSelectors: terms.localSelectors, remoteSelectors: terms.remoteSelectors };
  }
  const localSelectors = narrow(asked.localSelectors, terms.localSelectors);
  const remoteSelectors = narrow(asked.remoteSelectors, terms.remoteSelectors);
  return localSelectors.length === 0 || remoteSelectors.length === 0 ? undefined : { localSelectors, remoteSelectors };
}

function freshNonces(engine: EngineContext, payloads: readonly Payload[]): NegotiatedMkt["nonces"] {
  const initiator = new Uint8Array(payloadOf(payloads, "Nonce")?.data ?? []);
  return { initiator, responder: engine.crypto.random(NONCE_BYTES) };
}

function agree(
  engine: EngineContext,
  method: number,
  peerValue: Uint8Array | undefined,
): { readonly method: number; readonly publicValue: Uint8Array; readonly sharedSecret: Secret } {
  const pair = engine.crypto.generateKeyPair(method);
  // RFC 6989 section 2: the peer's value is tested before use
  const sharedSecret = peerValue === undefined ? undefined : pair?.agree(peerValue);
  if (pair === undefined || sharedSecret === undefined) {
    throw new PeerMisbehaved({
      code: "badKeyExchange",
      section: "RFC 6989 section 2",
      detail: "the key exchange data are not acceptable",
      notifyType: NotifyType.INVALID_SYNTAX,
    });
  }
  return { method, publicValue: pair.publicValue, sharedSecret };
}

/** RFC 7296 section 6: private numbers go only to those who showed that they know them. */
function publicNotify(secured: Secured, notifyType: number, data?: Uint8Array): NotifyPayload {
  const isPrivate = notifyType >= 8192 && notifyType < 16384;
  if (isPrivate && !secured.peerSpeaksKarp) return encodePlainNotify(NotifyType.NO_ADDITIONAL_SAS);
  return encodePlainNotify(notifyType, data);
}

function refusal(notifyType: number, detail: string): Refusal {
  return { kind: "refusal", notify: encodePlainNotify(notifyType), detail };
}
