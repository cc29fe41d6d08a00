import type { Association } from "./association.ts";
import { close } from "./close.ts";
import { resolveCollision } from "./collide.ts";
import { expire } from "./expiry.ts";
import { thawWhenOver } from "./freeze.ts";
import { hearRest } from "./hear.ts";
import { followDriver, install } from "./install.ts";
import { negotiate } from "./negotiate.ts";
import { judgeCurrent, observe } from "./observe.ts";
import { commit } from "./persist.ts";
import { keepClosed } from "./placeholder.ts";
import { prefer, reviewBars } from "./prefer.ts";
import { dropHopeless, retireOld, rollUnapplied } from "./retire.ts";
import { keepChain } from "./solo/chain.ts";
import { watchNeighbour } from "./solo/watchNeighbour.ts";
import { tell } from "./tell.ts";
import type { Turn } from "./turn.ts";

type Concern = (turn: Turn, association: Association) => void;

/**
 * Level-triggered: events only write down what is known, then each concern asks its rules what follows from all that
 * is known, until nothing moves. So a lost, repeated or reordered event cannot leave a session between two states.
 */
const concerns: readonly Concern[] = [
  thawWhenOver,
  keepChain,
  hearRest,
  commit,
  followDriver,
  resolveCollision,
  dropHopeless,
  rollUnapplied,
  expire,
  keepClosed,
  reviewBars,
  prefer,
  judgeCurrent,
  watchNeighbour,
  retireOld,
];

/** What asks others to act comes last, when the situation is settled. */
const actions: readonly Concern[] = [close, observe, install, tell, negotiate];

const MOST_ROUNDS = 24;

export function advance(turn: Turn, association: Association): void {
  for (let round = 0; round < MOST_ROUNDS; round++) {
    turn.takeWake();
    turn.hasMoved = false;
    for (const concern of association.isManaged ? concerns : [commit]) concern(turn, association);
    if (turn.hasMoved) continue;
    for (const action of association.isManaged ? actions : []) action(turn, association);
    if (!turn.hasMoved) return;
  }
  // Never seen to happen; if rules ever chase each other, the session is looked at again soon instead of now.
  turn.wake((turn.now.monotonic + 1000) as typeof turn.now.monotonic);
}
