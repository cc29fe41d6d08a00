import { KeyState } from "@karp/ikev2";
import type { KeyTableRow } from "../keytable/row.ts";
import { later } from "../time.ts";
import type { Association, Mkt } from "./association.ts";
import { nameOfState } from "./peerState.ts";
import { isConfirmedByPeer } from "./rules.ts";
import type { Turn } from "./turn.ts";

/** A peer that repeats itself wants to know our state; it is told again, but not more often than this. */
const REPEAT_SECONDS = 60;
/** How often in a minute a peer may change its mind about a key: each change costs a write and a call of the driver. */
const MOST_CHANGES = 20;
const MINUTE_SECONDS = 60;

/** KEY_STATE from the peer about this MKT: level-triggered and idempotent. */
export function hear(turn: Turn, association: Association, mkt: Mkt, state: number, reason: string): void {
  turn.hasMoved = true;
  if (mkt.situation.name === "removed") {
    // It still holds what is gone here.
    if (state !== KeyState.unknown) mkt.situation = { ...mkt.situation, tellsUnknown: true };
    return;
  }
  const isSame = mkt.row.peerState === state && mkt.row.peerReason === reason && mkt.heardAt !== undefined;
  if ((!isSame || takesDeletionBack(mkt, state)) && isTooMuch(turn, mkt, state)) {
    mkt.unheard = { state, reason };
    return;
  }
  take(turn, association, mkt, state, reason, isSame);
}

/** What a peer that changed its mind too often said last. */
export function hearRest(turn: Turn, association: Association): void {
  for (const mkt of association.mkts) {
    const { unheard, changes } = mkt;
    if (unheard === undefined || changes === undefined) continue;
    const due = later(changes.since, MINUTE_SECONDS);
    if (turn.now.monotonic < due) turn.wake(due);
    else hear(turn, association, mkt, unheard.state, unheard.reason);
  }
}

/** That a key is taken back counts at once, however often (invariant 3); everything else can wait. */
function isTooMuch(turn: Turn, mkt: Mkt, state: number): boolean {
  const { changes } = mkt;
  const isOver = changes === undefined || later(changes.since, MINUTE_SECONDS) <= turn.now.monotonic;
  mkt.changes = isOver ? { since: turn.now.monotonic, count: 1 } : { ...changes, count: changes.count + 1 };
  const isTakenBack = isConfirmedByPeer(mkt) && state !== KeyState.ready && state !== KeyState.inUse;
  return mkt.changes.count > MOST_CHANGES && !isTakenBack;
}

function take(
  turn: Turn,
  association: Association,
  mkt: Mkt,
  state: number,
  reason: string,
  isRepeated: boolean,
): void {
  mkt.unheard = undefined;
  mkt.heardAt = turn.now.monotonic;
  mkt.isUnknownToPeer = state === KeyState.unknown;
  if (state === KeyState.ready || state === KeyState.inUse) liftBar(mkt);
  if (takesDeletionBack(mkt, state)) {
    mkt.row = withoutPeerDeletion(mkt.row);
    mkt.isDirty = true;
  }
  if (state === KeyState.inUse) revive(turn, association, mkt);
  if (isRepeated) {
    if (mkt.toldAt === undefined || later(mkt.toldAt, REPEAT_SECONDS) <= turn.now.monotonic) mkt.tellsAgain = true;
    return;
  }
  tellPeople(turn, association, mkt, state, reason);
  turn.amend(mkt, { peerState: state, peerReason: reason });
}

/** A key that was never in at the peer is on its way there; one that is taken back is for people to look at. */
function tellPeople(turn: Turn, association: Association, mkt: Mkt, state: number, reason: string): void {
  const because = reason === "" ? "" : ` (${reason})`;
  const isOnItsWay = state === KeyState.withdrawn && !isConfirmedByPeer(mkt);
  const isTakenBack = (state === KeyState.withdrawn || state === KeyState.failed) && !isOnItsWay;
  const text = `the peer says ${nameOfState(state)} of key ${mkt.fingerprint}${because}`;
  const data = { state: nameOfState(state) };
  turn.event(association, "peerKeyState", isTakenBack ? "warning" : "info", text, { mkt, data });
}

/** It confirms the key anew: that nothing came up with it speaks no longer against preferring it. */
function liftBar(mkt: Mkt): void {
  if (mkt.situation.name !== "installed" || mkt.situation.barred === undefined) return;
  mkt.situation = { ...mkt.situation, barred: undefined };
}

/** A peer that accepts the key again has taken its D back. */
function takesDeletionBack({ row, situation }: Mkt, state: number): boolean {
  if (row.peerDeletedAt === undefined || situation.name === "retiring") return false;
  return state === KeyState.ready || state === KeyState.inUse;
}

function withoutPeerDeletion(row: KeyTableRow): KeyTableRow {
  const { peerDeletedAt: _peerDeletedAt, ...rest } = row;
  return { ...rest, generation: rest.generation + 1 };
}

/** Given up here, and in use there: what the peer uses counts. */
function revive(turn: Turn, association: Association, mkt: Mkt): void {
  const { situation } = mkt;
  if (situation.name !== "retiring" || situation.why !== "givenUp" || situation.isLeaving) return;
  // After our D it stays given up: the peer counts on that.
  if (situation.deletion.name !== "notSent") return;
  if (mkt.acceptance.name !== "accepted" && mkt.acceptance.name !== "unknown") return;
  turn.enter(association, mkt, { name: "installed", since: turn.now.monotonic, barred: undefined });
  mkt.tellsAgain = true;
  mkt.row = withoutPeerDeletion(mkt.row);
}

/** D from the peer: it will not prefer this again. It was answered already; we accept the key until our own rule holds. */
export function hearDelete(turn: Turn, association: Association, mkt: Mkt): void {
  turn.hasMoved = true;
  mkt.heardAt = turn.now.monotonic;
  // Said again and again it is no news.
  if (mkt.row.peerDeletedAt !== undefined) return;
  turn.amend(mkt, { peerDeletedAt: turn.now.wall });
  if (mkt.situation.name === "removed") return;
  turn.event(association, "peerKeyState", "info", `the peer will not prefer key ${mkt.fingerprint} again`, { mkt });
}
