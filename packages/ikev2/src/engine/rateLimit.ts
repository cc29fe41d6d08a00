import type { Instant } from "./machine.ts";

/** A token bucket that holds one second's worth. */
export class RateLimit {
  readonly #perSecond: number;
  #tokens: number;
  #filledAt: Instant | undefined;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond;
  }

  take(now: Instant): boolean {
    const elapsedMilliseconds = now - (this.#filledAt ?? now);
    this.#tokens = Math.min(this.#perSecond, this.#tokens + (elapsedMilliseconds / 1000) * this.#perSecond);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
