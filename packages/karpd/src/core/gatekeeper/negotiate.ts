import type { ExchangeFailure, IkeEvent, NegotiatedMkt } from "@karp/ikev2";
import { hasKeyId, KeyState, NotifyType } from "@karp/ikev2";
import type { SessionConfiguration } from "../configuration.ts";
import { later } from "../time.ts";
import { admit } from "./admit.ts";
import {
  type Association,
  candidates,
  currentMkt,
  isServing,
  isStored,
  type Mkt,
  type Negotiation,
  newestServing,
  type Obstacle,
  type Wanted,
} from "./association.ts";
import { giveUp } from "./collide.ts";
import { askedFact, doubt, forgetDoubts, forgetSendId } from "./doubts.ts";
import { tellExhausted } from "./exhaustion.ts";
import { isFirstToAct, planLifetime } from "./lifetimes.ts";
import { isInUse, mayBeInUse, obstacleTo } from "./obstacles.ts";
import { isOfPeer, retryAt } from "./peerState.ts";
import { clearRequest } from "./request.ts";
import { describesSame, meansSession, selectorsOf, sessionSelectors, termsOf } from "./selectors.ts";
import { isOfChain } from "./solo/dates.ts";
import { deletionOf, isBeingDeleted } from "./tell.ts";
import type { Turn } from "./turn.ts";

/** The end that does not begin gives the other so long to. */
const COURTESY_SECONDS = 5;
/** How long a candidate may be under way before somebody who asks for a rollover replaces it. */
const STUCK_SECONDS = 60;

/** wanted -> negotiating: whether a new MKT is due, and whether anything holds it back. */
export function negotiate(turn: Turn, association: Association): void {
  forgetDoubts(turn, association);
  if (association.negotiation.name === "negotiating") return;
  const reason = wantedBecause(turn, association);
  if (association.negotiation.name === "reserving") {
    if (reason === undefined) cancel(turn, association, association.negotiation.sendId);
    else if (isStored(association)) start(turn, association, association.negotiation);
    return;
  }
  if (reason === undefined) {
    if (association.negotiation.name === "wanted") association.negotiation = { name: "idle" };
    association.heldBack = undefined;
    return;
  }
  const wanted = association.negotiation.name === "wanted" ? association.negotiation : want(turn, association, reason);
  const obstacle = obstacleTo(turn, association, reason);
  noteObstacle(turn, association, obstacle);
  if (obstacle !== undefined) return;
  if (turn.now.monotonic < wanted.notBefore) {
    turn.wake(wanted.notBefore);
    return;
  }
  dropStuck(turn, association);
  if (isStored(association) && !hasUnsentDeletions(association)) reserve(turn, association, wanted);
}

function want(turn: Turn, association: Association, reason: string): Wanted {
  const isFirstKey = currentMkt(association) === undefined;
  const waits = isFirstKey && association.request === undefined && !isFirstToAct(association);
  const courtesy = Math.min(COURTESY_SECONDS, association.session.rollover.everySeconds / 10);
  const wanted: Wanted = {
    name: "wanted",
    since: turn.now.monotonic,
    sinceWall: turn.now.wall,
    reason,
    attempts: 0,
    notBefore: waits ? later(turn.now.monotonic, courtesy) : turn.now.monotonic,
    lastFailure: undefined,
    takenByPeer: undefined,
    asPlain: false,
  };
  association.negotiation = wanted;
  turn.event(association, "rolloverStarted", "info", `a new key is wanted: ${reason}`);
  return wanted;
}

function wantedBecause(turn: Turn, association: Association): string | undefined {
  if (!association.isManaged || association.peer === undefined) return undefined;
  if (association.revokedBecause !== undefined || association.closing !== undefined) return undefined;
  const newest = newestServing(association);
  if (newest === undefined && association.session.start !== "on-demand") return "there is no key yet";
  if (newest === undefined || association.request !== undefined) return association.request;
  if (isOfChain(newest)) return "the neighbour has a karp now: its chain of dated keys is left";
  const { foreign } = association.watch;
  if (foreign !== undefined && !association.mkts.some((mkt) => isServing(mkt) && mkt.heldAt > foreign.since)) {
    return foreign.text;
  }
  if (newest.softAt !== undefined) {
    if (newest.softAt <= turn.now.monotonic) return "the soft lifetime is over";
    turn.wake(newest.softAt);
  }
  return candidates(association).length > 0 ? undefined : urgentReason(association, newest);
}

/** The key in use works, but should not stay. */
function urgentReason(association: Association, current: Mkt): string | undefined {
  if (current.row.createdBy !== "ike") return undefined;
  if (association.peer?.hasNewCredential) return "the credential was changed";
  if (!isOfPeer(association, current)) return "the key was made with another identity or credential";
  if (!isForSession(current, association.session)) return "the key was made for other addresses or another port";
  if (current.isUnknownToPeer) return "the peer does not know the key in use";
  return current.row.peerDeletedAt === undefined ? undefined : "the peer will not prefer the key in use again";
}

/** As the session was then: what was narrowed in the negotiation is no less for it. */
function isForSession({ row }: Mkt, session: SessionConfiguration): boolean {
  const { localAddress, remoteAddress, port, vrf } = row.protocolSpecificInfo;
  const isSamePlace = localAddress === session.localAddress && remoteAddress === session.remoteAddress;
  return isSamePlace && port === session.port && vrf === session.vrf;
}

function noteObstacle(turn: Turn, association: Association, obstacle: Obstacle | undefined): void {
  const former = association.heldBack;
  association.heldBack = obstacle;
  if (obstacle === undefined || obstacle.reason === former?.reason) return;
  turn.event(association, "rolloverHeldBack", obstacle.severity, `no rollover now: ${obstacle.reason}`);
}

/** At most one successor that is not current: one that falls due replaces it, unless it may be in use. */
function dropStuck(turn: Turn, association: Association): void {
  if (currentMkt(association) === undefined) return;
  for (const mkt of candidates(association)) {
    if (mkt.row.createdBy !== "ike" || mayBeInUse(turn, association, mkt)) continue;
    giveUp(turn, association, mkt, "it did not come into use before the next rollover");
  }
}

/** The peer has to hear of what we gave up before it is asked for the same thing again. */
function hasUnsentDeletions(association: Association): boolean {
  if (association.telling.waitsForIkeSa) return false;
  return association.mkts.some((mkt) => {
    const isGivenUp = mkt.situation.name === "retiring" && mkt.situation.why !== "replaced";
    return isGivenUp && deletionOf(mkt)?.name === "notSent";
  });
}

/**
 * A SendID for the request. One of which the peer may hold an MKT is asked for again: the peer knows better. Not while a D
 * for it is under way: that would take the new MKT.
 */
function reserve(turn: Turn, association: Association, wanted: Wanted): void {
  const peer = association.peer?.config;
  if (peer === undefined) return;
  const { keyIds } = turn.ground;
  const isRefused = (sendId: number): boolean =>
    wanted.takenByPeer !== undefined && hasKeyId(wanted.takenByPeer, sendId);
  const doubt = association.doubtful.find(
    ({ sendId, deletion }) =>
      deletion.name !== "answered" && !isRefused(sendId) && !isBeingDeleted(association.telling, sendId),
  );
  const sendId = doubt?.sendId ?? keyIds.chooseSendId(peer, association.session, wanted.takenByPeer);
  if (sendId === undefined) {
    exhausted(turn, association, wanted);
    return;
  }
  keyIds.reserve(peer, sendId, association);
  if (doubt === undefined)
    association.changes.push({ kind: "setFact", name: askedFact(association.name, sendId), value: "1" });
  association.negotiation = { name: "reserving", wanted, sendId };
  turn.hasMoved = true;
}

function cancel(turn: Turn, association: Association, sendId: number): void {
  association.negotiation = { name: "idle" };
  if (association.doubtful.some((doubt) => doubt.sendId === sendId)) return;
  forgetSendId(turn, association, sendId);
}

function start(
  turn: Turn,
  association: Association,
  { wanted, sendId }: { readonly wanted: Wanted; readonly sendId: number },
): void {
  const peer = association.peer?.config;
  if (peer === undefined) return;
  const rekeys = wanted.asPlain ? undefined : predecessor(turn, association);
  const requestId = turn.ground.nextRequestId(association);
  const { since, sinceWall, reason, attempts } = wanted;
  association.negotiation = { name: "negotiating", since, sinceWall, reason, attempts, requestId, sendId, rekeys };
  turn.hasMoved = true;
  turn.ike({
    kind: "createMkt",
    requestId,
    peer: peer.name,
    sendId,
    taken: turn.ground.keyIds.recvIdsTaken(peer, association.session),
    terms: termsOf(association, peer),
    lifetime: planLifetime(turn.ground, association),
    ...(rekeys === undefined ? {} : { rekeys: rekeys.row.sendId }),
  });
}

/** What REKEY_SA names: only an MKT that this identity and credential made, for the session as it is configured now. */
function predecessor(turn: Turn, association: Association): Mkt | undefined {
  const inUse = candidates(association).findLast((candidate) => isInUse(turn, association, candidate));
  const mkt = inUse ?? currentMkt(association) ?? newestServing(association);
  if (mkt?.row.createdBy !== "ike" || !isOfPeer(association, mkt) || !isServing(mkt)) return undefined;
  return describesSame(selectorsOf(mkt), sessionSelectors(association.session)) ? mkt : undefined;
}

function exhausted(turn: Turn, association: Association, wanted: Wanted): void {
  association.negotiation = {
    ...wanted,
    attempts: wanted.attempts + 1,
    notBefore: later(turn.now.monotonic, 60),
    lastFailure: "no KeyID is free at both ends: `reserved-key-ids` here or there leaves too few",
    takenByPeer: undefined,
  };
  turn.wake(association.negotiation.notBefore);
  tellExhausted(turn, association, "no KeyID is free for a new key");
}

/** Our request was answered with an MKT. */
export function onNegotiatedByUs(turn: Turn, association: Association, negotiated: NegotiatedMkt): void {
  const { negotiation, peer } = association;
  if (negotiation.name !== "negotiating" || negotiation.requestId !== negotiated.requestId || peer === undefined)
    return;
  association.negotiation = { name: "idle" };
  turn.hasMoved = true;
  // A revocation is not undone by an answer that was on its way.
  if (association.revokedBecause !== undefined) {
    doubt(turn, association, peer.config, negotiation.sendId);
    return;
  }
  const fault = faultOfSelectors(association, negotiated, negotiation.rekeys);
  if (fault !== undefined) {
    doubt(turn, association, peer.config, negotiation.sendId);
    retry(turn, association, negotiation, fault, undefined, false);
    return;
  }
  // As the other end takes it: the engine may have asked for a plain new MKT, where the IKE SA of the old one is gone
  const replaces = negotiated.replaces === undefined ? currentMkt(association) : negotiation.rekeys;
  const mkt = admit(turn, association, negotiated, replaces);
  if (mkt !== undefined) {
    clearRequest(association);
    // Stored with the row, in one transaction.
    association.doubtful = association.doubtful.filter(({ sendId }) => sendId !== negotiation.sendId);
    association.changes.push({ kind: "deleteFact", name: askedFact(association.name, negotiation.sendId) });
    return;
  }
  doubt(turn, association, peer.config, negotiation.sendId);
  retry(turn, association, negotiation, "the peer chose a KeyID that is in use here", undefined, false);
}

/** RFC 7296 section 2.9 lets the responder narrow; what is left has to be this session still, and no less in a rekey. */
function faultOfSelectors(
  { session }: Association,
  { localSelectors, remoteSelectors, replaces }: NegotiatedMkt,
  rekeys: Mkt | undefined,
): string | undefined {
  if (!meansSession(session, localSelectors, remoteSelectors)) {
    return "the peer's traffic selectors leave out the session's port";
  }
  // RFC 7296 section 2.9.2: an SA that is rekeyed does not come out narrower than it is in use
  if (replaces === undefined || rekeys === undefined) return undefined;
  return describesSame(selectorsOf(rekeys), { localSelectors, remoteSelectors })
    ? undefined
    : `the peer narrowed the traffic selectors of key ${rekeys.fingerprint} in the rekey: the new key is deleted, the old one stays`;
}

export function onNegotiationFailed(
  turn: Turn,
  association: Association,
  event: Extract<IkeEvent, { readonly kind: "mktFailed" }>,
): void {
  const { negotiation, peer } = association;
  if (negotiation.name !== "negotiating" || negotiation.requestId !== event.requestId || peer === undefined) return;
  turn.hasMoved = true;
  const { failure, takenByPeer } = event;
  // Unanswered, or not understood: the peer may hold the MKT.
  if (isDoubtful(failure)) doubt(turn, association, peer.config, negotiation.sendId);
  else if (!association.doubtful.some(({ sendId }) => sendId === negotiation.sendId)) {
    forgetSendId(turn, association, negotiation.sendId);
  }
  const isPlainNext = isRekeyRefused(failure, negotiation.rekeys);
  retry(turn, association, negotiation, failure.detail, takenByPeer, isPlainNext, failure);
}

/** Trying again does not help: somebody has to look at keys, certificates or names at one end. */
function needsPeople({ reason, notifyType }: ExchangeFailure): boolean {
  if (reason === "authenticationFailed" || reason === "identityMismatch" || reason === "certificateRefused")
    return true;
  return notifyType === NotifyType.AUTHENTICATION_FAILED;
}

/** RFC 7296 sections 2.9.2 and 2.25: what cannot be rekeyed is made from scratch. */
function isRekeyRefused({ notifyType }: ExchangeFailure, rekeys: Mkt | undefined): boolean {
  if (notifyType === NotifyType.CHILD_SA_NOT_FOUND) return true;
  return notifyType === NotifyType.TS_UNACCEPTABLE && rekeys !== undefined;
}

function isDoubtful({ reason }: ExchangeFailure): boolean {
  return reason === "timeout" || reason === "ikeSaClosed" || reason === "invalidResponse" || reason === "abandoned";
}

function retry(
  turn: Turn,
  association: Association,
  former: Extract<Negotiation, { readonly name: "negotiating" }>,
  detail: string,
  takenByPeer: Uint8Array | undefined,
  asPlain: boolean,
  failure?: ExchangeFailure,
): void {
  const { notifyType } = failure ?? {};
  const attempts = former.attempts + 1;
  const now = turn.now.monotonic;
  const isQuick = (asPlain && former.rekeys !== undefined) || (notifyType === NotifyType.KEYID_IN_USE && attempts <= 3);
  const notBefore = isQuick ? now : retryAt(now, attempts, turn.random());
  association.negotiation = {
    name: "wanted",
    since: former.since,
    sinceWall: former.sinceWall,
    reason: former.reason,
    attempts,
    notBefore,
    lastFailure: detail,
    takenByPeer,
    asPlain,
  };
  const isExhausted = notifyType === NotifyType.NO_ADDITIONAL_SAS;
  const isAlarm = isExhausted || (failure !== undefined && needsPeople(failure));
  turn.event(
    association,
    isExhausted ? "keyIdsExhausted" : "mktFailed",
    isAlarm ? "alarm" : "warning",
    `no new key: ${detail}`,
    {
      data: { attempts, ...(notifyType === undefined ? {} : { notifyType }) },
    },
  );
}

/** The peer is there again: no need to wait longer. */
export function peerIsBack(turn: Turn, association: Association): void {
  const { negotiation } = association;
  if (negotiation.name !== "wanted" || negotiation.attempts === 0) return;
  association.negotiation = { ...negotiation, notBefore: later(turn.now.monotonic, turn.random()) };
  turn.hasMoved = true;
}

/** How a candidate stands with the peer, for those who ask for a rollover while one is under way. */
export function isUnderWay(turn: Turn, association: Association): boolean {
  if (association.negotiation.name === "negotiating") return true;
  return candidates(association).some((mkt) => {
    const isYoung = later(mkt.heldAt, STUCK_SECONDS) > turn.now.monotonic;
    return isYoung && mkt.row.peerState !== KeyState.failed;
  });
}
