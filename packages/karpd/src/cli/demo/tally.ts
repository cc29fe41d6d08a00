export type Counters = Readonly<Record<string, number>>;

/** Adds up the counters of the processes that were one router: each starts at zero, and none of them lives for ever. */
export class Tally {
  #process = "";
  #ofProcess: Counters = {};
  #former: Counters = {};

  /** All until now. `process` names the one that counted; what a former one had counted when last seen stays. */
  add(process: string, counters: Counters): Counters {
    if (process !== this.#process) {
      this.#former = sum(this.#former, this.#ofProcess);
      this.#process = process;
    }
    this.#ofProcess = counters;
    return sum(this.#former, counters);
  }
}

function sum(a: Counters, b: Counters): Counters {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return Object.fromEntries(names.map((name) => [name, (a[name] ?? 0) + (b[name] ?? 0)]));
}
