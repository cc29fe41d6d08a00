import type { Instant } from "./machine.ts";

/** A moment at which something is due; knows its place in the heap, so that cancelling leaves nothing behind. */
export interface Deadline<T> {
  readonly at: Instant;
  readonly subject: T;
}

interface Entry<T> extends Deadline<T> {
  readonly order: number;
  index: number;
}

/**
 * Deadlines in one binary heap: schedule, cancel and take cost O(log n). Equal moments come in the order in which they
 * were scheduled, so that one seed gives one history.
 */
export class Deadlines<T> {
  readonly #heap: Entry<T>[] = [];
  #scheduled = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest moment, if any. */
  next(): Instant | undefined {
    return this.#heap[0]?.at;
  }

  schedule(at: Instant, subject: T): Deadline<T> {
    const entry: Entry<T> = { at, subject, order: this.#scheduled++, index: this.#heap.length };
    this.#heap.push(entry);
    this.#rise(entry);
    return entry;
  }

  /** Does nothing when the deadline was taken or cancelled before. */
  cancel(deadline: Deadline<T> | undefined): void {
    if (deadline === undefined) return;
    const entry = deadline as Entry<T>;
    if (this.#heap[entry.index] === entry) this.#remove(entry);
  }

  /** Removes and gives the earliest deadline that is due at `now`. */
  take(now: Instant): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return undefined;
    this.#remove(first);
    return first.subject;
  }

  #remove(entry: Entry<T>): void {
    const last = this.#heap.pop();
    if (last !== undefined && last !== entry) {
      this.#put(last, entry.index);
      this.#rise(last);
      this.#sink(last);
    }
    entry.index = -1;
  }

  #rise(entry: Entry<T>): void {
    while (entry.index > 0) {
      const parent = this.#heap[(entry.index - 1) >> 1];
      if (parent === undefined || !isBefore(entry, parent)) return;
      this.#swap(entry, parent);
    }
  }

  #sink(entry: Entry<T>): void {
    for (;;) {
      const child = this.#earlierChild(entry.index);
      if (child === undefined || !isBefore(child, entry)) return;
      this.#swap(entry, child);
    }
  }

  #earlierChild(index: number): Entry<T> | undefined {
    const left = this.#heap[2 * index + 1];
    const right = this.#heap[2 * index + 2];
    return left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
  }

  #swap(a: Entry<T>, b: Entry<T>): void {
    const place = a.index;
    this.#put(a, b.index);
    this.#put(b, place);
  }

  #put(entry: Entry<T>, index: number): void {
    this.#heap[index] = entry;
    entry.index = index;
  }
}

function isBefore<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.at !== b.at ? a.at < b.at : a.order < b.order;
}
