interface Entry<T> {
  readonly item: T;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Collects what arrives while one commit is running into the next one: under load the number of syncs stays bounded by
 * the disk, not by the number of writers. Order is kept; each promise settles after its own commit.
 */
export class GroupCommit<T> {
  readonly #commit: (items: readonly T[]) => Promise<readonly (Error | undefined)[]>;
  #queue: Entry<T>[] = [];
  #running: Promise<void> | undefined;

  /** `commit` resolves with one entry an item (undefined: stored), or rejects for all. */
  constructor(commit: (items: readonly T[]) => Promise<readonly (Error | undefined)[]>) {
    this.#commit = commit;
  }

  add(item: T): Promise<void> {
    const done = new Promise<void>((resolve, reject) => this.#queue.push({ item, resolve, reject }));
    this.#running ??= this.#drain();
    return done;
  }

  /** Resolves when nothing is queued or running. Never rejects. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      await this.#run(batch);
    }
    this.#running = undefined;
  }

  async #run(batch: readonly Entry<T>[]): Promise<void> {
    try {
      const errors = await this.#commit(batch.map((entry) => entry.item));
      batch.forEach((entry, index) => {
        const error = errors[index];
        if (error === undefined) entry.resolve();
        else entry.reject(error);
      });
    } catch (error) {
      for (const entry of batch) entry.reject(error);
    }
  }
}
