import { setTimeout as delay } from "node:timers/promises";

/** Lets calls wait for news of a session, and never miss news that came while they were looking elsewhere. */
export class Wakeups {
  /** How often there was news: of one session, or of all. */
  readonly #news = new Map<string, number>();
  #newsOfAll = 0;
  readonly #sleepers = new Set<() => void>();

  wake(session: string): void {
    this.#news.set(session, (this.#news.get(session) ?? 0) + 1);
    this.#wakeSleepers();
  }

  wakeAll(): void {
    this.#newsOfAll++;
    this.#wakeSleepers();
  }

  /** To be taken before one looks, and given to {@link sleep}. */
  mark(session: string): number {
    return this.#newsOfAll + (this.#news.get(session) ?? 0);
  }

  /** Resolves when there is news since the mark, at the latest after `milliseconds`. @returns is there news? */
  async sleep(session: string, mark: number, milliseconds: number): Promise<boolean> {
    if (this.mark(session) !== mark) return true;
    const over = new AbortController();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#sleepers.add(resolve);
    await Promise.race([promise, delay(milliseconds, undefined, { signal: over.signal }).catch(() => undefined)]);
    over.abort();
    this.#sleepers.delete(resolve);
    return this.mark(session) !== mark;
  }

  #wakeSleepers(): void {
    for (const wake of [...this.#sleepers]) wake();
  }
}
