import { later } from "../time.ts";
import type { Association } from "./association.ts";
import type { Turn } from "./turn.ts";

/** A peer that asks again and again is not a new alarm each time, nor are our own attempts. */
const REPEAT_SECONDS = 3600;

/** There is no room for a key that the peer asked for, which was answered NO_ADDITIONAL_SAS, or for one of ours. */
export function tellExhausted(turn: Turn, association: Association, detail: string): void {
  const { exhausted } = association;
  const isTold = exhausted?.detail === detail && turn.now.monotonic < later(exhausted.at, REPEAT_SECONDS);
  if (isTold) return;
  association.exhausted = { at: turn.now.monotonic, detail };
  turn.event(association, "keyIdsExhausted", "alarm", `${detail}; keys in place keep working`);
}
