import { setTimeout as delay } from "node:timers/promises";

/** Asks every 10 ms until there is a value. @throws Error with `complaint` when the time is over */
export async function until<T>(
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  complaint: () => string,
  seconds = 5,
): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > end) throw new Error(complaint());
    await delay(10);
  }
}
