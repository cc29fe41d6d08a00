import type { UnixMilliseconds } from "@karp/ikev2";
import { formatRfc3339, later, secondsBetween, wallLater } from "../time.ts";
import type { Association } from "./association.ts";
import type { Turn } from "./turn.ts";

/** No rollover begins, and no key is newly preferred or removed, until then; the peer is told. */
export function freeze(turn: Turn, association: Association, seconds: number): void {
  const until = wallLater(turn.now.wall, seconds);
  association.frozenUntil = later(turn.now.monotonic, seconds);
  association.changes.push({ kind: "setFact", name: freezeFact(association), value: String(Math.round(until)) });
  association.telling = { ...association.telling, tellsFreeze: true };
  turn.hasMoved = true;
  turn.event(
    association,
    "frozen",
    "info",
    `rollovers of ${association.name} are frozen until ${formatRfc3339(until)}`,
  );
}

export function thaw(turn: Turn, association: Association, reason: string): void {
  if (association.frozenUntil === undefined) return;
  association.frozenUntil = undefined;
  association.changes.push({ kind: "deleteFact", name: freezeFact(association) });
  association.telling = { ...association.telling, tellsFreeze: true };
  turn.hasMoved = true;
  turn.event(association, "thawed", "info", `rollovers of ${association.name} may begin again: ${reason}`);
}

export function thawWhenOver(turn: Turn, association: Association): void {
  if (association.frozenUntil === undefined) return;
  if (turn.now.monotonic >= association.frozenUntil) thaw(turn, association, "the time is over");
  else turn.wake(association.frozenUntil);
}

export function freezeFact({ name }: Association): string {
  return `freeze:${name}`;
}

/** What is left of a freeze after a restart: at most what a clock that jumped leaves believable. */
export function restoreFreeze(turn: Turn, association: Association, value: string | undefined): void {
  if (value === undefined) return;
  const until = Number(value) as UnixMilliseconds;
  const seconds = Number.isFinite(until) ? (until - turn.now.wall) / 1000 : 0;
  association.frozenUntil = later(turn.now.monotonic, Math.min(seconds, MOST_FREEZE_SECONDS));
  // One that is over ends in the first turn: the peer may have heard of it, and has to hear of its end.
  association.telling = { ...association.telling, tellsFreeze: true };
}

/**
 * Seconds for KMP_FREEZE, which speaks of all sessions with a peer: none of ours begins a rollover until then. The peer rolls
 * those that are not frozen here, and hears of the others when it asks.
 */
export function freezeSeconds({ now }: Turn, { peer }: Association): number {
  const managed = [...(peer?.associations ?? [])].filter(({ isManaged }) => isManaged);
  const ends = managed.map(({ frozenUntil }) => frozenUntil ?? now.monotonic);
  const first = Math.min(...ends.map((until) => Math.ceil(secondsBetween(now.monotonic, until))));
  return Number.isFinite(first) ? Math.max(0, first) : 0;
}

export const MOST_FREEZE_SECONDS = 90 * 86_400;
