import type { CommandReply } from "../machine.ts";
import { type Association, isStored, type PendingReply } from "./association.ts";
import type { Turn } from "./turn.ts";

export type Promised = Pick<PendingReply, "requestId" | "reply" | "promise">;

/** Answers once everything that these associations have changed is stored; at once where nothing waits for the store. */
export function replyWhenStored(turn: Turn, associations: readonly Association[], promised: Promised): void {
  const unsaved = associations.filter((association) => !isStored(association));
  const pending: PendingReply = { ...promised, waitsFor: new Set(unsaved) };
  const failure = turn.ground.storeFailure();
  if (unsaved.length === 0) turn.effect({ kind: "reply", requestId: promised.requestId, reply: promised.reply });
  else if (failure !== undefined) replyUnstored(turn, pending, failure.reason);
  else for (const association of unsaved) association.replies = [...association.replies, pending];
}

/** What this association had to do with it is on disk; the last one to say so sends the reply. */
export function noteStored(turn: Turn, association: Association, { requestId, reply, waitsFor }: PendingReply): void {
  if (waitsFor.delete(association) && waitsFor.size === 0) turn.effect({ kind: "reply", requestId, reply });
}

/** The store failed: whoever asked is told so, once. */
export function replyUnstored(turn: Turn, { requestId, promise, waitsFor }: PendingReply, reason: string): void {
  if (waitsFor.size === 0) return;
  waitsFor.clear();
  turn.effect({ kind: "reply", requestId, reply: notStored(promise, reason) });
}

export function notStored(promise: string, reason: string): CommandReply {
  const text = `${promise} is not on disk: ${reason}; karp tries again, and forgets it if it ends before that`;
  return { ok: false, code: "notStored", text };
}
