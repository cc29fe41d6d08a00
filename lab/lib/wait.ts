import { setTimeout as delay } from "node:timers/promises";

export interface Deadline {
  /** How long to try. */
  readonly seconds: number;
  /** Pause between two tries; default 0.1 s. */
  readonly everySeconds?: number;
}

/** Thrown by a probe: waiting longer is of no use. */
export class GiveUpError extends Error {}

/**
 * Tries `probe` until it gives something true and returns that. A probe that throws counts as "not yet".
 * @throws Error that names `what` and the last thing seen when the time is over; GiveUpError at once
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | Promise<T>,
  deadline: Deadline,
): Promise<Exclude<T, false | undefined | null>> {
  const end = performance.now() + deadline.seconds * 1000;
  let last: unknown = "nothing";
  for (;;) {
    try {
      const value = await probe();
      if (value) return value as Exclude<T, false | undefined | null>;
      last = value;
    } catch (error) {
      if (error instanceof GiveUpError) throw error;
      last = error;
    }
    if (performance.now() > end) {
      const seen = last instanceof Error ? last.message : String(last);
      throw new Error(`waited ${deadline.seconds} s in vain for ${what} (last: ${seen})`);
    }
    await delay((deadline.everySeconds ?? 0.1) * 1000);
  }
}

/** A pause where time itself is the subject; everything else uses waitFor. */
export function passTime(seconds: number): Promise<void> {
  return delay(seconds * 1000);
}
