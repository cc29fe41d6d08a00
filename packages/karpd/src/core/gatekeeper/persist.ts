import type { KeyTableChange } from "../keytable/row.ts";
import type { Association, Mkt } from "./association.ts";
import { noteStored, notStored, replyUnstored } from "./reply.ts";
import type { Turn } from "./turn.ts";

export function hasUnsaved({ changes, mkts }: Association): boolean {
  return changes.length > 0 || mkts.some(({ isDirty }) => isDirty);
}

/** What of this association has to be stored now; remembered as under way, with the replies that promise it. */
export function takeUnsaved(association: Association, requestId: number): readonly KeyTableChange[] {
  const dirty = association.mkts.filter((mkt) => mkt.isDirty);
  const { changes, replies } = association;
  const rows = dirty.map((mkt) => ({ mkt, generation: mkt.row.generation }));
  for (const mkt of dirty) mkt.isDirty = false;
  association.changes = [];
  association.replies = [];
  association.saving = { requestId, rows, changes, replies };
  return [...dirty.map(({ row }): KeyTableChange => ({ kind: "put", row })), ...changes];
}

/** On disk: from here on it may be acted upon (invariant 5). */
export function onSaved(turn: Turn, association: Association, requestId: number): void {
  const { saving } = association;
  if (saving?.requestId !== requestId) return;
  association.saving = undefined;
  turn.hasMoved = true;
  for (const { mkt, generation } of saving.rows) {
    mkt.storedGeneration = Math.max(mkt.storedGeneration, generation);
  }
  for (const pending of saving.replies) noteStored(turn, association, pending);
  if (hasUnsaved(association)) return;
  // These were promised when all that they promise was on its way to the disk already.
  for (const pending of association.replies) noteStored(turn, association, pending);
  association.replies = [];
}

export interface Refusal {
  /** For the peer whose request cannot be granted. */
  readonly notifyType: number;
  /** For people. */
  readonly reason: string;
}

/** The store failed: what anybody waits for is refused, everything else is tried again; keys in place keep working. */
export function onSaveFailed(
  turn: Turn,
  association: Association,
  requestId: number,
  { notifyType, reason }: Refusal,
): void {
  const { saving } = association;
  if (saving?.requestId !== requestId) return;
  refuseWaiting(turn, association, reason);
  association.saving = undefined;
  turn.hasMoved = true;
  for (const { mkt } of saving.rows) {
    mkt.isDirty = true;
    if (mkt.commitId !== undefined && mkt.storedGeneration === 0) abort(turn, association, mkt, notifyType);
  }
  association.changes = [...saving.changes, ...association.changes];
}

/** Whoever asked for something is not kept waiting for a store that does not work. */
export function refuseWaiting(turn: Turn, association: Association, reason: string): void {
  const { closing, saving, replies } = association;
  for (const pending of [...(saving?.replies ?? []), ...replies]) replyUnstored(turn, pending, reason);
  association.replies = [];
  if (closing?.replyTo === undefined) return;
  const reply = notStored(`the revocation of ${association.name}`, reason);
  turn.effect({ kind: "reply", requestId: closing.replyTo, reply });
  association.closing = { ...closing, replyTo: undefined };
}

function abort(turn: Turn, association: Association, mkt: Mkt, refusal: number): void {
  if (mkt.commitId === undefined) return;
  turn.ike({ kind: "abort", commitId: mkt.commitId, notifyType: refusal });
  association.mkts = association.mkts.filter((other) => other !== mkt);
  turn.ground.keyIds.remove(mkt);
  mkt.isDirty = false;
}

/** Responses that may leave now. */
export function commit(turn: Turn, association: Association): void {
  for (const mkt of association.mkts) {
    if (mkt.commitId === undefined || !turn.ground.rules.mayCommit(mkt)) continue;
    turn.ike({ kind: "commit", commitId: mkt.commitId });
    mkt.commitId = undefined;
  }
}
