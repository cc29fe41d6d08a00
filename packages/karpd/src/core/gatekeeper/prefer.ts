import { KeyState } from "@karp/ikev2";
import { later, secondsBetween } from "../time.ts";
import { type Association, isAccepted, isPlaceholder, isServing, type Mkt, type Preferred } from "./association.ts";
import { survivor } from "./collide.ts";
import { isOfPeer } from "./peerState.ts";
import { isConfirmedByPeer } from "./rules.ts";
import { isOfChain, neighbourPause } from "./solo/dates.ts";
import type { Turn } from "./turn.ts";

/** With a connection up, how many further segments with other keys show that the peer does not follow rnext_key. */
const MOST_OTHER_SEGMENTS = 4;
/** A quiet connection gets this many times longer. */
const QUIET_FACTOR = 10;

/** Decides which key is preferred: rnext_key, and the key of new connections (DESIGN section 5 step 4). */
export function prefer(turn: Turn, association: Association): void {
  timeOut(turn, association);
  const chosen = choose(turn, association);
  if (chosen === association.preferred) return;
  const former = association.preferred;
  association.preferred = chosen;
  turn.hasMoved = true;
  if (former !== undefined) stepBack(turn, association, former, chosen);
  if (chosen !== undefined) stepForward(turn, association, chosen);
}

/** The newest key that both ends stand by; else the newest that was seen in use; else whatever is there. */
function choose(turn: Turn, association: Association): Mkt | undefined {
  const surviving = survivor(turn, association);
  const best = association.mkts.findLast((mkt) => {
    if (!isUsable(mkt)) return false;
    const isCandidate = isServing(mkt) && mkt.situation.name !== "current";
    return isCandidate ? isPreferable(turn, association, mkt, surviving) : isProven(mkt);
  });
  return spokenOf(association, best) ?? best ?? chooseLessGood(association);
}

/**
 * In place of a key that a former credential made, which the peer cannot take back any more: the newest of the present
 * one that the peer says it sends with.
 */
function spokenOf(association: Association, best: Mkt | undefined): Mkt | undefined {
  if (best === undefined || best.row.createdBy !== "ike" || isOfPeer(association, best)) return undefined;
  return association.mkts.findLast(
    (mkt) =>
      isServing(mkt) &&
      isUsable(mkt) &&
      isAccepted(mkt) &&
      isOfPeer(association, mkt) &&
      mkt.row.peerState === KeyState.inUse &&
      mkt.row.peerDeletedAt === undefined &&
      !isBarred(mkt),
  );
}

function isBarred({ situation }: Mkt): boolean {
  return situation.name === "installed" && situation.barred !== undefined;
}

function isPreferable(turn: Turn, association: Association, mkt: Mkt, surviving: Mkt | undefined): boolean {
  if (mkt === association.preferred && mkt.situation.name === "preferred") {
    return turn.ground.rules.mayKeepPreferring(association, mkt);
  }
  return mkt === surviving && mayPrefer(turn, association, mkt);
}

function mayPrefer(turn: Turn, association: Association, mkt: Mkt): boolean {
  const permission = turn.ground.rules.mayPrefer(association, mkt, turn.facts(association));
  if (!permission.isGranted) turn.wake(permission.at);
  return permission.isGranted;
}

/** It may be handed to the driver as the preferred one. */
function isUsable(mkt: Mkt): boolean {
  if (mkt.situation.name === "removed" || mkt.storedGeneration === 0) return false;
  return !(mkt.situation.name === "retiring" && mkt.situation.isLeaving);
}

/** Seen in use, and the peer has not taken its word back. */
function isProven(mkt: Mkt): boolean {
  if (isPlaceholder(mkt) || !wasInUse(mkt) || mkt.acceptance.name === "lost") return false;
  // After a D of either end the peer may have removed it.
  const isDeletedByUs = mkt.situation.name === "retiring" && mkt.situation.deletion.name !== "notSent";
  if (mkt.row.peerDeletedAt !== undefined || isDeletedByUs) return false;
  const isConfirmed = isConfirmedByPeer(mkt) || mkt.row.peerState === 0 || mkt.row.createdBy !== "ike";
  return isConfirmed && !mkt.isUnknownToPeer;
}

function wasInUse(mkt: Mkt): boolean {
  return mkt.row.history.current !== undefined;
}

/** Nothing is good: rather a key that worked once than none, rather the placeholder than one that was never used. */
function chooseLessGood(association: Association): Mkt | undefined {
  const usable = association.mkts.filter((mkt) => isUsable(mkt) && !isPlaceholder(mkt)).toReversed();
  const present = usable.filter((mkt) => mkt.acceptance.name !== "lost");
  const wasPreferred = (mkt: Mkt): boolean => mkt.row.history.preferred !== undefined && !isGivenUp(mkt);
  return (
    present.find((mkt) => mkt.situation.name === "current") ??
    present.find(wasInUse) ??
    present.find((mkt) => wasPreferred(mkt) && !isTakenBack(mkt)) ??
    usable.find(wasInUse) ??
    present.find(wasPreferred) ??
    association.mkts.findLast((mkt) => isUsable(mkt) && isPlaceholder(mkt))
  );
}

function isGivenUp({ situation }: Mkt): boolean {
  return situation.name === "retiring" && situation.why !== "replaced";
}

function isTakenBack(mkt: Mkt): boolean {
  const { peerState, peerDeletedAt } = mkt.row;
  return (
    peerDeletedAt !== undefined ||
    mkt.isUnknownToPeer ||
    peerState === KeyState.withdrawn ||
    peerState === KeyState.failed
  );
}

function stepForward(turn: Turn, association: Association, mkt: Mkt): void {
  const { situation } = mkt;
  const since = turn.now.monotonic;
  if (situation.name === "installed" || situation.name === "held") {
    if (isPlaceholder(mkt)) return;
    const timesBarred = situation.name === "installed" ? (situation.barred?.times ?? situation.timesBarred ?? 0) : 0;
    const wasIdle = association.watch.last?.observation.connections === 0;
    turn.enter(association, mkt, {
      name: "preferred",
      since,
      confirmedAt: undefined,
      wasIdle,
      otherSegments: 0,
      timesBarred,
    });
    association.isUrgent = false;
  } else if (situation.name === "retiring") bringBack(turn, association, mkt);
}

/** The predecessor serves again. */
function bringBack(turn: Turn, association: Association, mkt: Mkt): void {
  turn.enter(association, mkt, { name: "current", since: turn.now.monotonic, proof: "restored" });
  association.isUrgent = true;
}

function stepBack(turn: Turn, association: Association, mkt: Mkt, chosen: Mkt | undefined): void {
  const { situation } = mkt;
  const isReplacedInOrder = chosen !== undefined && association.mkts.indexOf(chosen) > association.mkts.indexOf(mkt);
  if (situation.name === "preferred") {
    turn.enter(association, mkt, { name: "installed", since: turn.now.monotonic, barred: undefined });
    if (!isReplacedInOrder) goBack(turn, association, mkt, chosen);
  } else if (situation.name === "current" && !isReplacedInOrder && !isPlaceholder(mkt)) {
    turn.enter(association, mkt, { name: "installed", since: turn.now.monotonic, barred: undefined });
    goBack(turn, association, mkt, chosen);
  }
}

function goBack(turn: Turn, association: Association, mkt: Mkt, chosen: Mkt | undefined): void {
  // Not for the store to delay: the peer does not stand by this key (invariant 3).
  association.isUrgent = true;
  const instead = chosen === undefined ? "no key" : `key ${chosen.fingerprint}`;
  const why = mkt.row.peerReason === "" ? "" : `: ${mkt.row.peerReason}`;
  turn.event(
    association,
    "rolloverHeldBack",
    "alarm",
    `key ${mkt.fingerprint} is not preferred any more, ${instead} is again${why}`,
    { mkt },
  );
}

/** Preferred, and nothing comes up with it: the newest key seen in use is preferred again. */
function timeOut(turn: Turn, association: Association): void {
  const mkt = association.preferred;
  if (mkt?.situation.name !== "preferred" || mkt.situation.confirmedAt === undefined || mkt.wasUsed) return;
  if (!hasAlternative(association, mkt)) return;
  const seconds = association.session.rollover.preferTimeoutSeconds;
  const due = later(mkt.situation.confirmedAt, seconds);
  if (turn.now.monotonic < due) {
    turn.wake(due);
    return;
  }
  if (!isProvenFutile(turn, association, mkt.situation, mkt.row.peerState === KeyState.inUse)) {
    turn.wake(later(mkt.situation.confirmedAt, seconds * QUIET_FACTOR));
    return;
  }
  bar(turn, association, mkt, mkt.situation);
}

function hasAlternative(association: Association, mkt: Mkt): boolean {
  return association.mkts.some((other) => other !== mkt && isUsable(other) && !isPlaceholder(other) && wasInUse(other));
}

function isProvenFutile(turn: Turn, association: Association, situation: Preferred, isInUseAtPeer: boolean): boolean {
  if (situation.confirmedAt === undefined || !turn.facts(association).observes) return false;
  const { last } = association.watch;
  if (last === undefined || last.at < situation.confirmedAt || association.watch.unavailable !== undefined)
    return false;
  // Without a connection nothing speaks against the key, if the peer says that it is in use there.
  if (last.observation.connections === 0) return !isInUseAtPeer;
  if (situation.otherSegments >= MOST_OTHER_SEGMENTS) return true;
  const quiet = association.session.rollover.preferTimeoutSeconds * QUIET_FACTOR;
  return secondsBetween(situation.confirmedAt, turn.now.monotonic) >= quiet;
}

/** It stays installed; a fresh word of the peer lifts the bar, and we ask for that. */
function bar(turn: Turn, association: Association, mkt: Mkt, situation: Preferred): void {
  const times = situation.timesBarred + 1;
  const since = turn.now.monotonic;
  const until = later(since, isOfChain(mkt) ? neighbourPause(times) : 300 * 2 ** Math.min(times - 1, 5));
  turn.enter(association, mkt, { name: "installed", since, barred: { since, until, times } });
  association.preferred = undefined;
  // A neighbour that is late is not an alarm each time that it is tried.
  const severity = !isOfChain(mkt) ? "alarm" : times === 1 ? "warning" : "info";
  turn.event(
    association,
    "rolloverHeldBack",
    severity,
    `nothing came up with key ${mkt.fingerprint}: the newest key seen in use is preferred again`,
    { mkt },
  );
  association.isUrgent = true;
}

/** Lifts or renews bars whose time is over. */
export function reviewBars(turn: Turn, association: Association): void {
  for (const mkt of association.mkts) {
    if (mkt.situation.name !== "installed" || mkt.situation.barred === undefined) continue;
    const { barred } = mkt.situation;
    if (turn.now.monotonic < barred.until) {
      turn.wake(barred.until);
    } else if (mkt.row.createdBy === "ike" && association.peer?.speaksKarp !== false) {
      // Its old word does not count: it may have dropped the key since. It answers ours with a new one.
      mkt.tellsAgain = true;
      mkt.situation = {
        ...mkt.situation,
        barred: { ...barred, until: later(turn.now.monotonic, 300 * 2 ** Math.min(barred.times, 5)) },
      };
      turn.hasMoved = true;
    } else {
      mkt.situation = { ...mkt.situation, barred: undefined, timesBarred: barred.times };
      turn.hasMoved = true;
    }
  }
}
