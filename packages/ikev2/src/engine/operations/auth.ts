/** The IKE_AUTH exchange, RFC 7296 section 1.2, RFC 6023: the initiator's half. */
import { PeerMisbehaved } from "../../bytes/errors.ts";
import type { NotifyPayload, Payload } from "../../codec/message.ts";
import { encodePlainNotify } from "../../codec/notifies/notify.ts";
import { equalIdentities, formatIdentity } from "../../policy/identity.ts";
import { ExchangeType } from "../../registry/exchangeType.ts";
import { nameOf } from "../../registry/nameOf.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import { failAttempt, reportFailedAttempt } from "../attempt.ts";
import type { EngineContext } from "../context.ts";
import { establish } from "../establishment.ts";
import { sendProtectedRequest } from "../exchange.ts";
import type { IkeSa } from "../ikeSa.ts";
import type { ExchangeFailure } from "../machine.ts";
import { errorNotifyOf, notifyOf, payloadOf, payloadsOf } from "../payloads.ts";
import type { Peer } from "../peers.ts";
import { discardIkeSa } from "../removal.ts";
import { enqueue } from "../requests.ts";
import type { AuthSent, Handshake, JudgingResponder } from "../states.ts";
import { judgePeer, proveIdentity } from "./authentication.ts";
import { certificateRequest, ownCertificates } from "./certificates.ts";
import { reportFailureOperation } from "./closeIkeSa.ts";
import { MktCreation } from "./createMkt.ts";

/** HDR, SK {IDi, [CERT,] [N(INITIAL_CONTACT),] [CERTREQ,] IDr, AUTH, [SAi2, TSi, TSr]}  --> */
export function sendAuthRequest(
  engine: EngineContext,
  sa: IkeSa,
  peer: Peer,
  handshake: Handshake,
  isChildlessPossible: boolean,
): void {
  const { config } = peer;
  const mkt = takeMkt(peer);
  if (mkt === undefined && isSuperfluous(sa, peer)) {
    engine.log({ name: "attemptGivenUp", level: "debug", peer: peer.name, detail: "the peer's IKE SA came up first" });
    peer.forget(sa);
    handshake.cipher.erase();
    discardIkeSa(engine, sa);
    return;
  }
  sa.state = { name: "authSent", handshake, mkt };
  const auth = proveIdentity(engine, handshake, config, true);
  if (auth.kind === "mute") {
    failAttempt(engine, sa, { reason: "authenticationFailed", detail: auth.detail });
    return;
  }
  // RFC 6023 section 3: MUST NOT be sent unless the responder said that it understands
  if (mkt === undefined && !isChildlessPossible) {
    const detail = "the peer does not take an IKE SA without an MKT (RFC 6023)";
    failAttempt(engine, sa, { reason: "childlessNotSupported", detail });
    return;
  }
  sendProtectedRequest(engine, sa, ExchangeType.IKE_AUTH, [
    { kind: "IDi", ...config.localIdentity },
    ...ownCertificates(config.localAuthentication),
    ...initialContact(engine, peer),
    ...certificateRequest(config.remoteAuthentication),
    { kind: "IDr", ...config.remoteIdentity },
    auth,
    ...(mkt?.offer(engine, { exchange: "IKE_AUTH", peerSpeaksKarp: handshake.peerSpeaksKarp }) ?? []),
  ]);
}

/** <--  HDR, SK {IDr, [CERT,] AUTH, [SAr2, TSi, TSr]}; the message is of whoever answered IKE_SA_INIT. */
export function receiveAuthResponse(
  engine: EngineContext,
  sa: IkeSa,
  state: AuthSent,
  payloads: readonly Payload[],
): void {
  const { peer } = sa;
  if (peer === undefined) return;
  const hasAuth = payloadOf(payloads, "AUTH") !== undefined;
  const refusal = hasAuth ? fatalNotifyOf(payloads) : errorNotifyOf(payloads);
  if (refusal !== undefined) {
    failAttempt(engine, sa, refusalOf(refusal));
    return;
  }
  if (!hasAuth) throw misbehaved("neither AUTH nor an error");
  const idr = payloadOf(payloads, "IDr");
  if (idr === undefined) throw misbehaved("IDr is missing");
  if (!equalIdentities(idr, peer.config.remoteIdentity) || engine.peers.isOwnIdentity(idr)) {
    const detail = `the peer says that it is ${formatIdentity(idr)}`;
    refuseResponder(engine, sa, state, { reason: "identityMismatch", detail });
    return;
  }
  const verdict = judgePeer(engine, state.handshake, peer.config, idr, payloads, false);
  switch (verdict.kind) {
    case "refused":
      refuseResponder(engine, sa, state, { reason: "authenticationFailed", detail: verdict.detail });
      return;
    case "authenticated":
      complete(engine, sa, peer, state, payloads, verdict.fingerprint);
      return;
    case "judge":
      askForVerdict(engine, sa, peer, state, { payloads, fingerprint: verdict.fingerprint, chain: verdict.chain });
  }
}

/** The responder's certificate was judged; `refusal`: why it will not do. */
export function responderJudged(engine: EngineContext, sa: IkeSa, state: JudgingResponder, refusal?: string): void {
  engine.awaitingAnswer.delete(state.validationId);
  engine.deadlines.cancel(sa.expiry);
  sa.expiry = undefined;
  if (sa.peer === undefined) return;
  if (refusal === undefined) complete(engine, sa, sa.peer, state, state.response, state.fingerprint);
  else refuseResponder(engine, sa, state, { reason: "certificateRefused", detail: refusal });
}

function askForVerdict(
  engine: EngineContext,
  sa: IkeSa,
  peer: Peer,
  state: AuthSent,
  shown: { readonly payloads: readonly Payload[]; readonly fingerprint: string; readonly chain: readonly Uint8Array[] },
): void {
  const requestId = engine.nextNumber();
  const { handshake, mkt } = state;
  const { fingerprint, chain } = shown;
  sa.state = {
    name: "judgingResponder",
    handshake,
    mkt,
    validationId: requestId,
    fingerprint,
    response: shown.payloads,
  };
  sa.expiry = engine.deadlines.schedule(engine.after(engine.settings.certificateSeconds), { kind: "expiry", sa });
  engine.awaitingAnswer.set(requestId, sa);
  const { remoteIdentity } = peer.config;
  engine.ask({ kind: "validateCertificate", requestId, peer: peer.name, remoteIdentity, chain });
}

function complete(
  engine: EngineContext,
  sa: IkeSa,
  peer: Peer,
  state: AuthSent | JudgingResponder,
  payloads: readonly Payload[],
  credentialFingerprint: string,
): void {
  const { handshake, mkt } = state;
  const initialContact = notifyOf(payloads, NotifyType.INITIAL_CONTACT) !== undefined;
  const secured = establish(engine, sa, { peer, handshake, credentialFingerprint, initialContact });
  // RFC 7296 section 2.21.2: an IKE SA whose first Child SA failed is an IKE SA all the same
  mkt?.receiveAnswer(engine, sa, secured, payloads, { initiator: handshake.ni, responder: handshake.nr });
}

/**
 * RFC 7296 section 2.21.2: the responder believes that it has an IKE SA, and is told in an INFORMATIONAL exchange that
 * it has not. Whoever waits for this IKE SA is told at once.
 */
function refuseResponder(
  engine: EngineContext,
  sa: IkeSa,
  state: AuthSent | JudgingResponder,
  failure: ExchangeFailure,
): void {
  const { peer } = sa;
  if (peer === undefined) return;
  engine.counters.authenticationFailures++;
  engine.emit({ kind: "peerRejected", peer: peer.name, remote: sa.remote, detail: failure.detail });
  reportFailedAttempt(engine, sa, failure);
  if ("validationId" in state) engine.awaitingAnswer.delete(state.validationId);
  sa.state = { name: "closing", cipher: state.handshake.cipher, secured: undefined };
  enqueue(engine, sa, reportFailureOperation(NotifyType.AUTHENTICATION_FAILED));
}

const initialContactNotify = encodePlainNotify(NotifyType.INITIAL_CONTACT);

/** RFC 7296 section 2.4: "this IKE SA is the only one currently active" between us two. */
function initialContact(engine: EngineContext, peer: Peer): readonly NotifyPayload[] {
  const isOnly = peer.ikeSas.every((sa) => sa.secured === undefined);
  return engine.settings.initialContact && isOnly ? [initialContactNotify] : [];
}

/** The peer's own IKE SA came up since we began, and has taken over what we began for. */
function isSuperfluous(sa: IkeSa, peer: Peer): boolean {
  return (peer.usableIkeSa()?.secured?.origin.establishedOrder ?? 0) > sa.order;
}

function takeMkt(peer: Peer): MktCreation | undefined {
  const index = peer.waiting.findIndex((operation) => operation instanceof MktCreation);
  const [operation] = index < 0 ? [] : peer.waiting.splice(index, 1);
  return operation instanceof MktCreation ? operation : undefined;
}

/** RFC 7296 section 2.21.2: the only errors with which no IKE SA comes up although the responder proved who it is. */
function fatalNotifyOf(payloads: readonly Payload[]): NotifyPayload | undefined {
  const { UNSUPPORTED_CRITICAL_PAYLOAD, INVALID_SYNTAX, AUTHENTICATION_FAILED } = NotifyType;
  const fatal: readonly number[] = [UNSUPPORTED_CRITICAL_PAYLOAD, INVALID_SYNTAX, AUTHENTICATION_FAILED];
  return payloadsOf(payloads, "N").find(({ notifyType }) => fatal.includes(notifyType));
}

/** To be treated with caution: we do not know yet who says so (RFC 7296 section 2.21.2). */
function refusalOf(error: NotifyPayload): ExchangeFailure {
  const { notifyType } = error;
  const isAuthentication = notifyType === NotifyType.AUTHENTICATION_FAILED;
  return {
    reason: isAuthentication ? "authenticationFailed" : "refusedByPeer",
    notifyType,
    detail: `IKE_AUTH was answered with ${nameOf(NotifyType, notifyType)}`,
  };
}

function misbehaved(detail: string): PeerMisbehaved {
  return new PeerMisbehaved({ code: "badAuthResponse", section: "RFC 7296 section 1.2", detail });
}
