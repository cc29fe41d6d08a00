import { type Association, candidates, currentMkt, isPlaceholder, type Mkt } from "./association.ts";
import { beginClosing } from "./close.ts";
import type { Turn } from "./turn.ts";

/** The hard lifetime of the key in use is over, and no successor is: keep and alarm, or fail closed. */
export function expire(turn: Turn, association: Association): void {
  if (!association.isManaged || association.closing !== undefined || association.session.mode === "observe") return;
  for (const mkt of inUse(association)) {
    if (mkt.hasExpired || mkt.hardAt === undefined) continue;
    if (turn.now.monotonic < mkt.hardAt) {
      turn.wake(mkt.hardAt);
      continue;
    }
    mkt.hasExpired = true;
    turn.hasMoved = true;
    atHardExpiry(turn, association, mkt);
    return;
  }
}

/** Old keys that retire expire with their own rules. */
function inUse(association: Association): readonly Mkt[] {
  const current = currentMkt(association);
  if (current !== undefined) return [current];
  return candidates(association).filter((mkt) => !isPlaceholder(mkt) && mkt.row.history.preferred !== undefined);
}

function atHardExpiry(turn: Turn, association: Association, mkt: Mkt): void {
  const reason = `the hard lifetime of key ${mkt.fingerprint} is over, and no successor is in use`;
  if (turn.ground.rules.atHardExpiry(association) === "close") {
    beginClosing(turn, association, "expired", reason);
    return;
  }
  turn.event(association, "hardExpired", "alarm", `${reason}: the key is kept`, { mkt });
}
