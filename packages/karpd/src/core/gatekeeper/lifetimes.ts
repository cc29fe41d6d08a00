import type { KeyLifetime } from "@karp/ikev2";
import type { Association } from "./association.ts";
import { type Ground, randomOf } from "./turn.ts";

/** The other end waits this much longer: without jitter too, one begins and the other answers. */
const LATE_END_SECONDS = 2;
/** The end that leaves the other the first move gives it a twentieth of its period for it, at most this much. */
const MOST_COURTESY_SECONDS = 3600;
/** What KMP_KEY_LIFETIME is believed to say at most. */
const MOST_SECONDS = 3660 * 86_400;

/**
 * Our lifetimes for a new MKT, in whole seconds. Each end has lifetimes of its own. The end with the lower identity
 * takes the early half of the soft lifetime's jitter and the other the late half, so that the two are seldom due together.
 * The hard one has a draw of its own: never later than configured, for that is a promise, and never more than half of
 * what lies between the two.
 */
export function planLifetime(ground: Pick<Ground, "crypto">, association: Association): KeyLifetime {
  const { everySeconds, jitter, hardSeconds } = association.session.rollover;
  const shift = everySeconds * jitter * randomOf(ground);
  const soft = isFirstToAct(association) ? everySeconds - shift : everySeconds + shift + LATE_END_SECONDS;
  const early = Math.max(0, Math.min(hardSeconds * jitter, (hardSeconds - soft) / 2)) * randomOf(ground);
  return { softSeconds: whole(soft), hardSeconds: whole(hardSeconds - early) };
}

/**
 * The peer's hint only ever moves our soft lifetime a little later, to behind the peer's: the peer then begins, and our
 * own comes into play if it does not. The later end moves and the earlier one stays, so both come to the same plan.
 */
export function leaveFirstMove(
  association: Association,
  ours: KeyLifetime,
  peers: KeyLifetime | undefined,
): KeyLifetime {
  const { softSeconds, hardSeconds } = ours;
  if (peers === undefined || peers.softSeconds > softSeconds) return ours;
  if (peers.softSeconds === softSeconds && isFirstToAct(association)) return ours;
  const period = association.session.rollover.everySeconds;
  const courtesy = Math.ceil(Math.max(LATE_END_SECONDS, Math.min(MOST_COURTESY_SECONDS, period / 20)));
  const moved = Math.max(softSeconds, peers.softSeconds + courtesy);
  return moved < hardSeconds ? { softSeconds: moved, hardSeconds } : ours;
}

function whole(seconds: number): number {
  return Math.min(MOST_SECONDS, Math.max(1, Math.round(seconds)));
}

/** The end with the lower identity begins; the other gives it a moment first. */
export function isFirstToAct({ peer }: Association): boolean {
  return peer === undefined || peer.localIdentity < peer.remoteIdentity;
}
