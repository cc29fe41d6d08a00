/** The IKE_AUTH exchange, RFC 7296 section 1.2, RFC 6023: the responder's half. */
import { PeerMisbehaved } from "../../bytes/errors.ts";
import type { AuthPayload, IdPayload, Payload } from "../../codec/message.ts";
import { encodePlainNotify } from "../../codec/notifies/notify.ts";
import { equalIdentities, formatIdentity } from "../../policy/identity.ts";
import { buildIkeProposals, chooseIkeProposal } from "../../policy/ikeProposal.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import type { EngineContext } from "../context.ts";
import { establish } from "../establishment.ts";
import { type ReceivedRequest, sendProtectedResponse } from "../exchange.ts";
import type { IkeSa } from "../ikeSa.ts";
import type { IkeSuite } from "../machine.ts";
import { notifyOf, payloadOf } from "../payloads.ts";
import type { Peer } from "../peers.ts";
import { removeIkeSa } from "../removal.ts";
import type { HalfOpen, Handshake, JudgingInitiator } from "../states.ts";
import { answerMkt } from "./acceptMkt.ts";
import { judgePeer, pretendToJudge, proveIdentity, type Verdict } from "./authentication.ts";
import { ownCertificates } from "./certificates.ts";

/** HDR, SK {IDi, [CERT,] [IDr,] AUTH, [SAi2, TSi, TSr]}  -->; everybody may get this far, so all of it is a claim. */
export function receiveAuthRequest(
  engine: EngineContext,
  sa: IkeSa,
  state: HalfOpen,
  request: ReceivedRequest,
  payloads: readonly Payload[],
): void {
  const idi = payloadOf(payloads, "IDi");
  if (idi === undefined)
    throw new PeerMisbehaved({ code: "badAuthRequest", section: "RFC 7296 section 1.2", detail: "no IDi" });
  const peer = claimedPeer(engine, sa, idi, payloadOf(payloads, "IDr"));
  if (peer === undefined) {
    pretendToJudge(engine, state.handshake, idi, payloads);
    refuseInitiator(engine, sa, request, whyNobody(engine, sa, idi, payloadOf(payloads, "IDr")));
    return;
  }
  const verdict = judgeInitiator(engine, state.handshake, peer, idi, payloads);
  switch (verdict.kind) {
    case "refused":
      refuseInitiator(engine, sa, request, verdict.detail, peer);
      return;
    case "authenticated":
      complete(engine, sa, { ...state, peer, fingerprint: verdict.fingerprint, request, payloads });
      return;
    case "judge":
      askForVerdict(engine, sa, { ...state, peer, fingerprint: verdict.fingerprint, request, payloads }, verdict.chain);
  }
}

/** The initiator's certificate was judged; `refusal`: why it will not do. */
export function initiatorJudged(engine: EngineContext, sa: IkeSa, state: JudgingInitiator, refusal?: string): void {
  engine.awaitingAnswer.delete(state.validationId);
  // The configuration may have changed meanwhile
  const isKnown = engine.peers.has(state.peer);
  const problem = isKnown ? refusal : "the peer is not configured any more";
  if (problem === undefined) complete(engine, sa, state);
  else refuseInitiator(engine, sa, state.request, problem, state.peer);
}

/** A peer is an exact identity at its address. IDr, when sent, has to be the one that we use with that peer. */
function claimedPeer(engine: EngineContext, sa: IkeSa, idi: IdPayload, idr: IdPayload | undefined): Peer | undefined {
  if (engine.peers.isOwnIdentity(idi)) return undefined;
  return engine.peers
    .atAddress(sa.remote.address)
    .find(
      ({ config }) =>
        equalIdentities(config.remoteIdentity, idi) &&
        (idr === undefined || equalIdentities(config.localIdentity, idr)),
    );
}

/** For people: an initiator that is known but looks for somebody else is another mistake than an unknown one. */
function whyNobody(engine: EngineContext, sa: IkeSa, idi: IdPayload, idr: IdPayload | undefined): string {
  if (engine.peers.isOwnIdentity(idi)) return `the initiator claims our own identity ${formatIdentity(idi)}`;
  if (idr === undefined || claimedPeer(engine, sa, idi, undefined) === undefined)
    return `no peer at this address is ${formatIdentity(idi)}`;
  return `${formatIdentity(idi)} looks for ${formatIdentity(idr)} here, which is not who we are`;
}

function judgeInitiator(
  engine: EngineContext,
  handshake: Handshake,
  peer: Peer,
  idi: IdPayload,
  payloads: readonly Payload[],
): Verdict {
  const verdict = judgePeer(engine, handshake, peer.config, idi, payloads, true);
  if (verdict.kind === "refused" || isSuiteOf(handshake, peer.config.suites)) return verdict;
  return { kind: "refused", detail: "the suite is acceptable from another peer at this address, not from this one" };
}

/** IKE_SA_INIT was answered before it was known who asks. */
function isSuiteOf(handshake: Handshake, suites: readonly IkeSuite[]): boolean {
  const { encryption, integrity, prf, keyExchange } = handshake.cipher.suite.transforms;
  const negotiated = {
    encryption: [encryption],
    integrity: integrity === undefined ? [] : [integrity],
    prf: [prf],
    keyExchange: [keyExchange],
  };
  return chooseIkeProposal(buildIkeProposals([negotiated]), suites).ok;
}

interface Authenticated {
  readonly handshake: Handshake;
  readonly peer: Peer;
  readonly fingerprint: string;
  readonly request: ReceivedRequest;
  readonly payloads: readonly Payload[];
}

function askForVerdict(engine: EngineContext, sa: IkeSa, judged: Authenticated, chain: readonly Uint8Array[]): void {
  const requestId = engine.nextNumber();
  sa.state = { ...judged, name: "judgingInitiator", validationId: requestId };
  engine.deadlines.cancel(sa.expiry);
  sa.expiry = engine.deadlines.schedule(engine.after(engine.settings.certificateSeconds), { kind: "expiry", sa });
  engine.awaitingAnswer.set(requestId, sa);
  const { name, config } = judged.peer;
  engine.ask({ kind: "validateCertificate", requestId, peer: name, remoteIdentity: config.remoteIdentity, chain });
}

function complete(engine: EngineContext, sa: IkeSa, authenticated: Authenticated): void {
  const { handshake, peer, request, payloads } = authenticated;
  const auth = proveIdentity(engine, handshake, peer.config, false);
  if (auth.kind === "mute") {
    refuseInitiator(engine, sa, request, auth.detail, peer);
    return;
  }
  const initialContact = notifyOf(payloads, NotifyType.INITIAL_CONTACT) !== undefined;
  const credentialFingerprint = authenticated.fingerprint;
  const secured = establish(engine, sa, { peer, handshake, credentialFingerprint, initialContact });
  const identified = identification(peer, auth);
  // RFC 6023 section 3: no SA payload, no Child SA
  if (payloadOf(payloads, "SA") === undefined) {
    sendProtectedResponse(engine, sa, request, identified);
    return;
  }
  const nonces = { initiator: handshake.ni, responder: handshake.nr };
  answerMkt(engine, sa, secured, { exchange: "IKE_AUTH", request, payloads, nonces, identified });
}

function identification(peer: Peer, auth: AuthPayload): readonly Payload[] {
  const { localIdentity, localAuthentication } = peer.config;
  return [{ kind: "IDr", ...localIdentity }, ...ownCertificates(localAuthentication), auth];
}

/** RFC 7296 section 2.21.2: AUTHENTICATION_FAILED, whatever the reason; the log says more than the answer. */
function refuseInitiator(
  engine: EngineContext,
  sa: IkeSa,
  request: ReceivedRequest,
  detail: string,
  peer?: Peer,
): void {
  engine.counters.authenticationFailures++;
  const named = peer === undefined ? {} : { peer: peer.name };
  engine.emit({ kind: "peerRejected", ...named, remote: request.remote, detail });
  sendProtectedResponse(engine, sa, request, [encodePlainNotify(NotifyType.AUTHENTICATION_FAILED)]);
  removeIkeSa(engine, sa, { operations: "fail" });
}
