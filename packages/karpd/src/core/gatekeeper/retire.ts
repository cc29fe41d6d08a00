import { wallLater } from "../time.ts";
import { type Association, isPlaceholder, isServing, type Mkt } from "./association.ts";
import { giveUp } from "./collide.ts";
import { originFact } from "./makeMkt.ts";
import { mayBePreferred } from "./removalRules.ts";
import { deletionOf } from "./tell.ts";
import type { Turn } from "./turn.ts";

/** Candidates that will never be current: dropped by the peer, unknown to it, never mentioned, or failed there. */
export function dropHopeless(turn: Turn, association: Association): void {
  for (const mkt of association.mkts) {
    if (!isServing(mkt) || mkt.row.createdBy !== "ike" || mkt.situation.name === "current") continue;
    const reason = hopelessBecause(turn, association, mkt);
    if (reason === undefined) continue;
    const isOrphan = reason === ORPHAN;
    giveUp(turn, association, mkt, reason);
    if (isOrphan) turn.event(association, "orphanRemoved", "warning", `key ${mkt.fingerprint}: ${reason}`, { mkt });
  }
}

const ORPHAN = "the peer never mentioned it";

function hopelessBecause(turn: Turn, association: Association, mkt: Mkt): string | undefined {
  // A first key that serves for want of a better one is not dropped by a word.
  const isOnly = mkt.situation.name === "preferred" && mkt.wasUsed;
  if (isOnly) return undefined;
  if (mkt.isUnknownToPeer) return "the peer does not have it";
  if (mkt.row.peerDeletedAt !== undefined) return "the peer deleted it";
  if (mkt.row.peerState === 4)
    return `the peer could not install it${mkt.row.peerReason === "" ? "" : `: ${mkt.row.peerReason}`}`;
  const permission = turn.ground.rules.isOrphan(association, mkt, turn.facts(association));
  if (permission.isGranted) return ORPHAN;
  turn.wake(permission.at);
  return undefined;
}

/** Retiring keys leave the driver when the rules allow, and become tombstones once it confirmed. */
export function retireOld(turn: Turn, association: Association): void {
  retirePlaceholders(turn, association);
  for (const mkt of association.mkts) {
    // Asked anew until the driver is: the peer may take the key up again meanwhile.
    const isOpen = mkt.situation.name === "retiring" && !isGoing(association, mkt) && !isOut(association, mkt);
    if (isOpen || (mkt.situation.name === "retiring" && !mkt.situation.isLeaving))
      leaveWhenAllowed(turn, association, mkt);
    if (mkt.situation.name === "retiring" && mkt.situation.isLeaving && isOut(association, mkt))
      bury(turn, association, mkt);
  }
  forgetRested(turn, association);
}

/** Nobody else has a placeholder: it goes as soon as a real key is preferred. */
function retirePlaceholders(turn: Turn, association: Association): void {
  const { preferred, driver } = association;
  if (preferred === undefined || isPlaceholder(preferred) || driver.confirmed?.get(preferred) !== "preferred") return;
  for (const mkt of association.mkts) {
    if (!isPlaceholder(mkt) || mkt.situation.name === "removed") continue;
    if (mkt.situation.name === "retiring") {
      // From before a restart, which forgets that it was leaving
      mkt.situation = { ...mkt.situation, isLeaving: true };
      continue;
    }
    const since = turn.now.monotonic;
    const deletion = { name: "answered", at: since } as const;
    turn.enter(association, mkt, {
      name: "retiring",
      since,
      why: "replaced",
      reason: "a real key is there",
      deletion,
      unpreferredAt: since,
      isLeaving: true,
    });
  }
}

function leaveWhenAllowed(turn: Turn, association: Association, mkt: Mkt): void {
  if (
    mkt.situation.name === "retiring" &&
    mkt.situation.unpreferredAt === undefined &&
    !mayBePreferred(association, mkt)
  ) {
    mkt.situation = { ...mkt.situation, unpreferredAt: turn.now.monotonic };
  }
  if (association.session.mode === "observe" && mkt.acceptance.name === "unknown") return;
  if (mkt.situation.name !== "retiring" || isPlaceholder(mkt)) return;
  const permission = turn.ground.rules.mayRemove(association, mkt, turn.facts(association));
  if (!permission.isGranted) turn.wake(permission.at);
  if (permission.isGranted === mkt.situation.isLeaving) return;
  mkt.situation = { ...mkt.situation, isLeaving: permission.isGranted };
  turn.hasMoved = true;
}

/** The driver is asked for a set without it already. */
function isGoing({ driver: { activity } }: Association, mkt: Mkt): boolean {
  return activity.name === "applying" && !activity.plan.has(mkt);
}

/** The driver confirmed a set of keys without it, or never had it. */
function isOut(association: Association, mkt: Mkt): boolean {
  const { confirmed, activity } = association.driver;
  if (activity.name === "applying" && activity.plan.has(mkt)) return false;
  if (mkt.acceptance.name === "absent" || mkt.acceptance.name === "refused") return !confirmed?.has(mkt);
  return confirmed !== undefined && !confirmed.has(mkt) && mkt.acceptance.name !== "unknown";
}

/** retiring -> removed: the key is gone from the row too; the KeyIDs rest. */
export function bury(turn: Turn, association: Association, mkt: Mkt): void {
  const deletion = deletionOf(mkt) ?? ({ name: "notSent" } as const);
  const { key: _key, ...rest } = mkt.row;
  mkt.row = rest;
  const { quarantineSeconds } = association.session.rollover;
  turn.enter(
    association,
    mkt,
    { name: "removed", since: turn.now.monotonic, deletion, tellsUnknown: false },
    {
      acceptLifetimeEnd: turn.now.wall,
      quarantineUntil: wallLater(turn.now.wall, quarantineSeconds),
    },
  );
  if (mkt.origin !== undefined) association.changes.push({ kind: "deleteFact", name: originFact(mkt) });
}

/** Tombstones whose quarantine is over: the KeyIDs may be used again. */
function forgetRested(turn: Turn, association: Association): void {
  for (const mkt of association.mkts) {
    if (mkt.situation.name !== "removed" || mkt.isDirty) continue;
    const permission = turn.ground.rules.mayReuseKeyIds(association, mkt, turn.facts(association));
    if (!permission.isGranted) {
      turn.wake(permission.at);
      continue;
    }
    association.mkts = association.mkts.filter((other) => other !== mkt);
    association.changes.push({ kind: "delete", adminKeyName: mkt.row.adminKeyName });
    turn.ground.keyIds.remove(mkt);
    turn.hasMoved = true;
  }
}

/**
 * Mode observe: nothing was ever installed, so a key of which a successor is held by both ends goes at once. Keys that
 * an earlier mode installed stay untouched.
 */
export function rollUnapplied(turn: Turn, association: Association): void {
  if (association.session.mode !== "observe") return;
  const newest = association.mkts.findLast((mkt) => isServing(mkt) && mkt.row.state === "held");
  if (newest === undefined || newest.heardAt === undefined || association.negotiation.name === "negotiating") return;
  for (const mkt of association.mkts) {
    if (mkt === newest) break;
    const neverIn = isServing(mkt) && mkt.row.history.installed === undefined && mkt.acceptance.name === "absent";
    if (neverIn && mkt.row.createdBy === "ike")
      giveUp(turn, association, mkt, `mode observe: key ${newest.fingerprint} would be installed instead`);
  }
}
