import type { Instant, Machine, Now, UnixMilliseconds } from "../src/index.ts";

/** The two clocks of this machine. */
export interface Clock {
  now(): Now;
}

export const systemClock: Clock = {
  now: () => ({ monotonic: performance.now() as Instant, wall: Date.now() as UnixMilliseconds }),
};

const LONGEST_TIMER_MILLISECONDS = 0x7fff_ffff;

/**
 * Runs a machine on real time: feeds inputs one by one, performs their effects in order, and wakes the machine at its
 * deadline. An effect that produces an input at once (synchronously) is queued behind the effects still to perform, so
 * the order of effects of one input is never broken.
 */
export class Pump<Input extends { readonly kind: string }, Effect> {
  readonly #machine: Machine<Input | { readonly kind: "timeout" }, Effect>;
  readonly #perform: (effect: Effect) => void;
  readonly #clock: Clock;
  readonly #queue: (Input | { readonly kind: "timeout" })[] = [];
  #running = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #armedFor: Instant | undefined;

  constructor(
    machine: Machine<Input | { readonly kind: "timeout" }, Effect>,
    perform: (effect: Effect) => void,
    clock: Clock = systemClock,
  ) {
    this.#machine = machine;
    this.#perform = perform;
    this.#clock = clock;
  }

  input(input: Input | { readonly kind: "timeout" }): void {
    if (this.#stopped) return;
    this.#queue.push(input);
    if (!this.#running) this.#run();
  }

  /** Arms the timer for a machine that has deadlines before its first input. */
  start(): void {
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#queue.length = 0;
    clearTimeout(this.#timer);
  }

  #run(): void {
    this.#running = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined && !this.#stopped; next = this.#queue.shift()) {
        for (const effect of this.#machine.handle(next, this.#clock.now())) this.#perform(effect);
      }
    } finally {
      this.#running = false;
      // Also when a fault of the caller's came out of the machine: deadlines go on
      this.#arm();
    }
  }

  #arm(): void {
    const deadline = this.#stopped ? undefined : this.#machine.nextDeadline();
    if (deadline === this.#armedFor && this.#timer !== undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#armedFor = deadline;
    if (deadline === undefined) return;
    const delay = Math.ceil(deadline - this.#clock.now().monotonic);
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#armedFor = undefined;
        this.input({ kind: "timeout" });
      },
      Math.min(Math.max(delay, 0), LONGEST_TIMER_MILLISECONDS),
    );
  }
}
