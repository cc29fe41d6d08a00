import type { KeyTableChange } from "../keytable/row.ts";
import type { Association, Mkt } from "./association.ts";
import type { Turn } from "./turn.ts";

/** What of this association has to be stored now; remembered as under way. Undefined: nothing, or something is. */
export function takeUnsaved(association: Association, requestId: number): readonly KeyTableChange[] | undefined {
  if (association.saving !== undefined) return undefined;
  const dirty = association.mkts.filter((mkt) => mkt.isDirty);
  if (dirty.length === 0 && association.changes.length === 0) return undefined;
  const { changes } = association;
  const rows = dirty.map((mkt) => ({ mkt, generation: mkt.row.generation }));
  for (const mkt of dirty) mkt.isDirty = false;
  association.changes = [];
  association.saving = { requestId, rows, changes };
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
  if (association.changes.length > 0) return;
  for (const { requestId: replyTo, text, adminKeyName } of association.replies) {
    turn.effect({
      kind: "reply",
      requestId: replyTo,
      reply: { ok: true, text, ...(adminKeyName === undefined ? {} : { adminKeyName }) },
    });
  }
  association.replies = [];
}

/** The store failed: what a peer waits for is refused, everything else is tried again; keys in place keep working. */
export function onSaveFailed(turn: Turn, association: Association, requestId: number, refusal: number): void {
  const { saving } = association;
  if (saving?.requestId !== requestId) return;
  association.saving = undefined;
  turn.hasMoved = true;
  for (const { mkt } of saving.rows) {
    mkt.isDirty = true;
    if (mkt.commitId !== undefined && mkt.storedGeneration === 0) abort(turn, association, mkt, refusal);
  }
  association.changes = [...saving.changes, ...association.changes];
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
