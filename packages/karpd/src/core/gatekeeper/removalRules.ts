import type { Instant } from "@karp/ikev2";
import { KeyState } from "@karp/ikev2";
import { later, latest } from "../time.ts";
import {
  type Association,
  currentMkt,
  isAccepted,
  liveMkts,
  type Mkt,
  MOST_LIVE_MKTS,
  type Retiring,
} from "./association.ts";
import { isOfPeer } from "./peerState.ts";
import { type Facts, granted, type Permission, refuse } from "./permission.ts";
import { instantOf, overlapEnd } from "./solo/dates.ts";

/** How old an observation may be on which a key is removed, and how long the key must not have been seen in use. */
const FRESH_SECONDS = 10;
const QUIET_SECONDS = 3;
/** How long a peer in a new IKE SA may take to speak of every MKT that it holds. */
const SPEAKS_SECONDS = 60;
/** So many live keys, and there is soon no room for a new one: none is kept longer than it must be. */
const MANY_ALIVE = MOST_LIVE_MKTS - 2;

/** Seconds that a replaced key is kept after D: at most a quarter of the period. */
export function keepOldSeconds(association: Association): number {
  const { rollover } = association.session;
  if (liveMkts(association).length >= MANY_ALIVE) return 0;
  return Math.min(rollover.keepOldSeconds, rollover.everySeconds / 4);
}

/** The moment from which a replaced key may be removed, when nothing else speaks against it. */
export function removalDueAt(association: Association, retiring: Retiring): Instant {
  return later(retiring.since, association.session.rollover.drainSeconds + keepOldSeconds(association));
}

/** D means "I will not prefer this again": only once the driver confirmed that it does not. */
export function mayDelete(association: Association, mkt: Mkt, facts: Facts): Permission {
  const { situation } = mkt;
  if (situation.name === "removed") return granted;
  if (situation.name !== "retiring") return refuse("peer", "the key is not retiring");
  if (mayBePreferred(association, mkt)) return refuse("driver", "the driver may still prefer the key");
  if (situation.why !== "replaced") return granted;
  const successor = currentMkt(association);
  if (successor === undefined) return refuse("driver", "no other key is in use");
  const drained = later(situation.since, association.session.rollover.drainSeconds);
  if (facts.now.monotonic < drained) return refuse("clock", "segments on their way may still carry the key", drained);
  // RFC 7296 section 2.8: the initiator of the rekey deletes the old SA. The other end does, if that never comes.
  if (successor.origin?.isOurs !== false || situation.isLeaving) return granted;
  return refuse("peer", "the peer deletes the key that its own replaced");
}

/** Removing a key drops every segment that still comes with it: everything that may be known is asked (invariant 1). */
export function mayRemove(association: Association, mkt: Mkt, facts: Facts): Permission {
  const { situation } = mkt;
  if (situation.name !== "retiring") return refuse("peer", "the key is not retiring");
  if (association.preferred === mkt) return refuse("driver", "the key is preferred");
  if (mkt.acceptance.name === "absent" || mkt.acceptance.name === "refused") return granted;
  if (mayBePreferred(association, mkt)) return refuse("driver", "the driver may still prefer the key");
  const permission =
    situation.why === "replaced"
      ? isReplaced(association, mkt, situation, facts)
      : isGivenUp(association, mkt, situation, facts);
  return permission.isGranted ? isQuiet(association, mkt, facts) : permission;
}

/** What the driver confirmed last is what counts; while it is at work, or has not said anything yet, the worst. */
export function mayBePreferred({ preferred, driver }: Association, mkt: Mkt): boolean {
  if (preferred === mkt || driver.confirmed?.get(mkt) === "preferred") return true;
  const { activity } = driver;
  if ("plan" in activity && activity.plan.get(mkt) === "preferred") return true;
  return driver.confirmed === undefined && mkt.acceptance.name === "unknown" && mkt.row.history.preferred !== undefined;
}

function isReplaced(association: Association, mkt: Mkt, situation: Retiring, facts: Facts): Permission {
  const successor = currentMkt(association);
  if (successor === undefined || !isAccepted(successor)) return refuse("driver", "no other key is in use");
  const { peerState, peerDeletedAt } = successor.row;
  if (peerDeletedAt !== undefined || successor.isUnknownToPeer || peerState === KeyState.withdrawn) {
    return refuse("peer", "the peer does not stand by the key that is in use");
  }
  if (association.frozenUntil !== undefined) {
    return refuse("operator", "rollovers are frozen here", association.frozenUntil);
  }
  const due = removalDueAt(association, situation);
  if (facts.now.monotonic < due) return refuse("clock", "the old key is kept for a while", due);
  if (mkt.row.peerDeletedAt !== undefined) return granted;
  const stale = mkt.row.peerState === KeyState.inUse ? staleAt(association, successor, mkt) : facts.now.monotonic;
  if (stale === undefined || stale > facts.now.monotonic)
    return refuse("peer", "the peer still uses the old key", stale);
  if (!isCommittedTo(association, successor, mkt, facts)) {
    const isAsked = successor.situation.name === "current" && successor.situation.proof === "asked";
    const at = isAsked ? instantOf(overlapEnd(mkt, successor), facts.now) : undefined;
    return refuse("peer", "the peer has not been seen to leave the old key", at);
  }
  return granted;
}

/**
 * From when on what the peer said of a key is no word any more; undefined: it is one. KEY_STATE is level-triggered, and
 * counts for as long as the peer may take it back. It may not where another identity or credential made the key: then it
 * has left it once it sends with one that the present credential made. And it does not where it has forgotten the key, by
 * the loss of its store or by an old one: in a new IKE SA it speaks of all MKTs that it holds, and left this one out.
 */
function staleAt(association: Association, inUse: Mkt, old: Mkt): Instant | undefined {
  const { drainSeconds } = association.session.rollover;
  if (!isOfPeer(association, old)) {
    const saidAt = isOfPeer(association, inUse) ? inUse.heardAt : undefined;
    return saidAt === undefined ? undefined : later(saidAt, drainSeconds);
  }
  const since = association.peer?.speaksSince;
  // One that is younger than the IKE SA need not have been spoken of yet
  if (since === undefined || old.heldAt >= since) return undefined;
  if (isHeardSince(old, since) || !isHeardSince(inUse, since)) return undefined;
  return later(since, Math.max(SPEAKS_SECONDS, drainSeconds));
}

function isHeardSince({ heardAt }: Mkt, since: Instant): boolean {
  return heardAt !== undefined && heardAt >= since;
}

/** The peer sends with the successor, or says that it does. */
function isCommittedTo(association: Association, successor: Mkt, old: Mkt, { now }: Facts): boolean {
  if (successor.row.peerState === KeyState.inUse) return true;
  // An idle session, or one from before a restart, proves nothing about the peer's end: its own word is needed.
  if (successor.situation.name !== "current" || association.driver.confirmed?.get(successor) !== "preferred")
    return false;
  const { proof } = successor.situation;
  return proof === "traffic" || (proof === "asked" && now.wall >= overlapEnd(old, successor));
}

/** It was never current; but the peer may prefer it if it ever heard "ready". */
function isGivenUp(association: Association, mkt: Mkt, situation: Retiring, facts: Facts): Permission {
  if (association.preferred === undefined && association.wasKeyed) return refuse("driver", "there is no other key");
  if (!wasTold(mkt) && mkt.row.history.preferred === undefined) return granted;
  if (situation.unpreferredAt === undefined) return refuse("driver", "the driver may still prefer the key");
  const { drainSeconds } = association.session.rollover;
  const drainedAt = later(latest(situation.unpreferredAt, mkt.heardAt ?? situation.since), drainSeconds);
  if (facts.now.monotonic < drainedAt) {
    return refuse("clock", "segments on their way may still carry the key", drainedAt);
  }
  return !wasTold(mkt) || isLeftByPeer(mkt) ? granted : isGivenUpByPeer(association, mkt, situation, facts);
}

/** Without the peer's word. */
function isGivenUpByPeer(association: Association, mkt: Mkt, situation: Retiring, facts: Facts): Permission {
  const answeredAt = situation.deletion.name === "answered" ? situation.deletion.at : undefined;
  const { orphanSeconds, drainSeconds } = association.session.rollover;
  const cannotSay = association.peer?.speaksKarp === false;
  // A peer that has the key says D too, once its driver let go of it. One that is silent for long does not have it, or
  // gave it up by itself when nothing came up with it.
  const isSilent = mkt.heardAt === undefined && mkt.row.peerState === KeyState.unknown;
  const patience = cannotSay && answeredAt !== undefined ? drainSeconds : orphanSeconds;
  const due = later(latest(situation.since, answeredAt ?? situation.since), patience);
  const mayGuess = cannotSay || (facts.observes && (isSilent || answeredAt !== undefined));
  if (mayGuess && facts.now.monotonic >= due) return granted;
  const stale = leftForNewerAt(association, mkt);
  if (stale !== undefined && facts.now.monotonic >= stale) return granted;
  return refuse("peer", "the peer has not said that it leaves the key", stale ?? (mayGuess ? due : undefined));
}

/** A key that is given up is spoken of by D alone; but whoever sends with a newer one does not prefer it any more. */
function leftForNewerAt(association: Association, mkt: Mkt): Instant | undefined {
  const current = currentMkt(association);
  if (current?.row.peerState !== KeyState.inUse || !isNewer(current, mkt)) return undefined;
  return staleAt(association, current, mkt);
}

/** By the order in which they were made: restored keys do not stand in it, and wall clocks are stepped. */
function isNewer({ origin }: Mkt, other: Mkt): boolean {
  return origin !== undefined && other.origin !== undefined && origin.order > other.origin.order;
}

/** The peer may have heard "ready" of the key, and prefer it since; also where a crash came before that was on disk. */
function wasTold({ row, toldAt, selectors }: Mkt): boolean {
  const isRestored = row.createdBy === "ike" && selectors === undefined;
  return (
    row.toldState !== KeyState.unknown || toldAt !== undefined || (isRestored && row.history.installed !== undefined)
  );
}

/**
 * It said itself that it will not prefer the key again, or cannot. "Withdrawn" and "observing" promise nothing: they may
 * be over before the peer hears of our D.
 */
function isLeftByPeer({ row, isUnknownToPeer }: Mkt): boolean {
  return row.peerDeletedAt !== undefined || isUnknownToPeer || row.peerState === KeyState.failed;
}

/** Never a key that is observed as current_key or rnext_key, or that segments still come with (DESIGN section 6). */
function isQuiet(association: Association, mkt: Mkt, facts: Facts): Permission {
  if (!facts.observes) return granted;
  const { last } = association.watch;
  const soon = later(facts.now.monotonic, 1);
  if (last === undefined || later(last.at, FRESH_SECONDS) < facts.now.monotonic) {
    return refuse("driver", "the routing daemon has not been looked at", soon);
  }
  const { currentSendId, rnextRecvId, receivedKeyId } = last.observation;
  const { sendId, recvId } = mkt.row;
  if (currentSendId === sendId || rnextRecvId === recvId || receivedKeyId === recvId) {
    return refuse("driver", "the routing daemon still uses the key", soon);
  }
  if (mkt.usedAt !== undefined && later(mkt.usedAt, QUIET_SECONDS) > facts.now.monotonic) {
    return refuse("peer", "segments with the key still come in", later(mkt.usedAt, QUIET_SECONDS));
  }
  return granted;
}
