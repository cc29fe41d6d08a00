import type { Instant, Now, UnixMilliseconds } from "@karp/ikev2";
import type { Observation } from "../../../ports/routingDriver.ts";
import type { KeyTableRow } from "../../keytable/row.ts";
import { later, wallLater } from "../../time.ts";
import { type Association, candidates, isServing, type Mkt } from "../association.ts";
import type { Turn } from "../turn.ts";

/** From when to when a key is sent with and accepted, at both ends alike. */
export interface KeyDates {
  readonly sendFrom: UnixMilliseconds;
  readonly sendUntil: UnixMilliseconds;
  readonly acceptFrom: UnixMilliseconds;
  readonly acceptUntil: UnixMilliseconds;
}

const DAY_SECONDS = 86_400;
/** A key is accepted so long before and after it is sent with, at most a quarter of its time. */
const MOST_OVERLAP_SECONDS = 7 * DAY_SECONDS;
/** Wall clocks are set: dates are looked at so often at least. */
const SELDOM_SECONDS = 3600;
/** Before people hear that a neighbour has not switched, its clock may be so far behind. */
const MOST_PATIENCE_SECONDS = 3600;
/** How long before its end the next chain is asked for. */
const NOTICE_SECONDS = 30 * DAY_SECONDS;

/** A key of a chain that a neighbour is given. */
export function isOfChain(mkt: Mkt): boolean {
  return mkt.row.createdBy === "solo";
}

/** Oldest first: those that are or will be used. */
export function chainOf(association: Association): readonly Mkt[] {
  return association.mkts.filter((mkt) => isOfChain(mkt) && isServing(mkt));
}

/** Dates of a key that is sent with from `sendFrom` on. */
export function datesFrom(sendFrom: UnixMilliseconds, everySeconds: number): KeyDates {
  const overlap = Math.min(MOST_OVERLAP_SECONDS, Math.floor(everySeconds / 4));
  const sendUntil = wallLater(sendFrom, everySeconds);
  return { sendFrom, sendUntil, acceptFrom: wallLater(sendFrom, -overlap), acceptUntil: wallLater(sendUntil, overlap) };
}

/** Routers take whole minutes, some of them only: chains that last begin with one. */
export function beginningOf(at: UnixMilliseconds, everySeconds: number): UnixMilliseconds {
  const unit = everySeconds % 60 === 0 ? 60_000 : 1000;
  return (Math.floor(at / unit) * unit) as UnixMilliseconds;
}

/** RFC 7210 section 2: the dates in the words of a row. */
export function lifetimesOf({
  sendFrom,
  sendUntil,
  acceptFrom,
  acceptUntil,
}: KeyDates): Pick<KeyTableRow, "sendLifetimeStart" | "sendLifetimeEnd" | "acceptLifetimeStart" | "acceptLifetimeEnd"> {
  return {
    sendLifetimeStart: sendFrom,
    sendLifetimeEnd: sendUntil,
    acceptLifetimeStart: acceptFrom,
    acceptLifetimeEnd: acceptUntil,
  };
}

/** The first one is due from the start, whatever the clock says. */
export function isDue({ row }: Mkt, now: Now): boolean {
  return (row.sendLifetimeStart ?? now.wall) <= now.wall;
}

export function dueAt({ row }: Mkt, now: Now): Instant {
  return instantOf(row.sendLifetimeStart ?? now.wall, now);
}

/** The monotonic moment at which the wall clock will say so, or sooner: it may be set meanwhile. */
export function instantOf(at: UnixMilliseconds, now: Now): Instant {
  return later(now.monotonic, Math.min(SELDOM_SECONDS, Math.max(0.001, (at - now.wall) / 1000)));
}

/** The newest key of a chain whose date has come, of those that are not in use yet and may be tried. */
export function dueOfChain(association: Association, now: Now): Mkt | undefined {
  const waiting = candidates(association).filter(isOfChain);
  const [first] = waiting;
  const due = waiting.findLast((mkt) => isDue(mkt, now) && !isBarred(mkt));
  const isOnly = !association.mkts.some((mkt) => isServing(mkt) && !waiting.includes(mkt));
  return due ?? (isOnly ? first : undefined);
}

function isBarred({ situation }: Mkt): boolean {
  return situation.name === "installed" && situation.barred !== undefined;
}

/**
 * A key of a chain goes in when the time comes to accept it. The first one changes a session that works without one, so in
 * mode opportunistic it waits until somebody has it for the neighbour.
 */
export function waitsForItsDate(turn: Turn, association: Association, mkt: Mkt): boolean {
  const isHeldBack = association.session.mode === "opportunistic" && association.solo?.handedOutAt === undefined;
  if (isHeldBack) return true;
  if (mkt === association.mkts.find(isServing)) return false;
  const { acceptLifetimeStart } = mkt.row;
  if (acceptLifetimeStart <= turn.now.wall) return false;
  turn.wake(instantOf(acceptLifetimeStart, turn.now));
  return true;
}

/** How long a key that the neighbour does not have is not tried again; it is taken at once when the neighbour uses it. */
export function neighbourPause(times: number): number {
  return Math.min(3600, 60 * 2 ** Math.min(times - 1, 6));
}

/** Seconds after its date until a key counts as late. */
export function patienceSeconds(everySeconds: number): number {
  return Math.min(MOST_PATIENCE_SECONDS, everySeconds / 10);
}

/** From when on the next chain is asked for. */
export function renewalAt(lastSendUntil: UnixMilliseconds, everySeconds: number): UnixMilliseconds {
  return wallLater(lastSendUntil, -Math.min(NOTICE_SECONDS, everySeconds));
}

/**
 * The daemon cannot tell which key segments come with. That the neighbour asks for a key shows that it has it, and by RFC
 * 5925 section 7.5 it sends with the one that we ask for.
 */
export function isUncounted({ goodByRecvId, receivedKeyId, connections, goodTotal = 0 }: Observation): boolean {
  return goodByRecvId === undefined && receivedKeyId === undefined && (connections ?? 0) > 0 && goodTotal > 0;
}

/** When nobody who keeps to the dates sends with the old key any more, or accepts it alone. */
export function overlapEnd(old: Mkt, { row }: Mkt): UnixMilliseconds {
  const { sendLifetimeStart = row.acceptLifetimeStart, acceptLifetimeStart } = row;
  const after = 2 * sendLifetimeStart - acceptLifetimeStart;
  return Math.max(after, isOfChain(old) ? (old.row.acceptLifetimeEnd ?? after) : after) as UnixMilliseconds;
}
