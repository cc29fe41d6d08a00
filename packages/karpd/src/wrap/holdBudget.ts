/**
 * For how long the event loop of a daemon may stand still. A thread that connects sockets in non-blocking mode serves
 * all neighbours, so a connect() that waits for one key keeps everyone waiting: each thread has an allowance, which
 * fills again slowly.
 */
export class HoldBudget {
  readonly #most: number;
  readonly #refillRatio: number;
  /** By thread: what it had left, and when. */
  readonly #threads = new Map<number, { readonly left: number; readonly at: number }>();

  /** @param mostMilliseconds at once; a tenth of the time that passes is given back */
  constructor(mostMilliseconds: number, refillRatio = 0.1) {
    this.#most = mostMilliseconds;
    this.#refillRatio = refillRatio;
  }

  /** Milliseconds that the thread may stand still from now on. */
  left(thread: number, now: number): number {
    const known = this.#threads.get(thread);
    if (known === undefined) return this.#most;
    const left = known.left + Math.max(0, now - known.at) * this.#refillRatio;
    if (left < this.#most) return left;
    this.#threads.delete(thread);
    return this.#most;
  }

  spend(thread: number, milliseconds: number, now: number): void {
    this.#threads.set(thread, { left: Math.max(0, this.left(thread, now) - milliseconds), at: now });
    if (this.#threads.size > 1024) this.#forget(now);
  }

  #forget(now: number): void {
    for (const thread of [...this.#threads.keys()]) this.left(thread, now);
  }
}
