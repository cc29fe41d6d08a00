import { later } from "../time.ts";
import type { Association } from "./association.ts";
import type { Turn } from "./turn.ts";

/** A peer that asks again and again is not a new alarm each time. */
const REPEAT_SECONDS = 3600;

/** There was no room for a key that the peer asked for: it was answered NO_ADDITIONAL_SAS, and people here hear of it too. */
export function tellExhausted(turn: Turn, association: Association, detail: string): void {
  const { exhausted } = association;
  const isTold = exhausted?.detail === detail && turn.now.monotonic < later(exhausted.at, REPEAT_SECONDS);
  if (isTold) return;
  association.exhausted = { at: turn.now.monotonic, detail };
  const text = `the peer was refused a new key: ${detail}; keys in place keep working`;
  turn.event(association, "keyIdsExhausted", "alarm", text);
}
