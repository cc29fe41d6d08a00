import type { Instant } from "@karp/ikev2";

/** What a heap of deadlines holds: the heap alone writes these two fields. */
export interface HeapItem {
  deadline: Instant | undefined;
  /** Place in the heap; -1 outside. */
  heapIndex: number;
}

/** A binary heap of items ordered by their deadline; setting, moving and taking cost O(log n). */
export class DeadlineHeap<T extends HeapItem> {
  readonly #items: T[] = [];

  /** The earliest deadline of all. */
  get earliest(): Instant | undefined {
    return this.#items[0]?.deadline;
  }

  /** Gives `item` this deadline, or none. */
  set(item: T, deadline: Instant | undefined): void {
    if (item.deadline === deadline && item.heapIndex >= 0) return;
    if (deadline === undefined) {
      this.#remove(item);
      return;
    }
    const before = item.deadline;
    item.deadline = deadline;
    if (item.heapIndex < 0) {
      item.heapIndex = this.#items.length;
      this.#items.push(item);
      this.#up(item);
    } else if (before === undefined || deadline < before) this.#up(item);
    else this.#down(item);
  }

  /** Takes out one item whose deadline has come. */
  takeDue(now: Instant): T | undefined {
    const first = this.#items[0];
    if (first?.deadline === undefined || first.deadline > now) return undefined;
    this.#remove(first);
    return first;
  }

  #remove(item: T): void {
    item.deadline = undefined;
    const index = item.heapIndex;
    if (index < 0) return;
    item.heapIndex = -1;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#put(last, index);
    this.#up(last);
    this.#down(last);
  }

  #up(item: T): void {
    while (item.heapIndex > 0) {
      const parent = this.#items[(item.heapIndex - 1) >> 1];
      if (parent === undefined || !isBefore(item, parent)) return;
      this.#swap(item, parent);
    }
  }

  #down(item: T): void {
    for (;;) {
      const left = this.#items[item.heapIndex * 2 + 1];
      const right = this.#items[item.heapIndex * 2 + 2];
      const child = right !== undefined && left !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || !isBefore(child, item)) return;
      this.#swap(child, item);
    }
  }

  #swap(a: T, b: T): void {
    const place = a.heapIndex;
    this.#put(a, b.heapIndex);
    this.#put(b, place);
  }

  #put(item: T, index: number): void {
    item.heapIndex = index;
    this.#items[index] = item;
  }
}

function isBefore(a: HeapItem, b: HeapItem): boolean {
  return (a.deadline ?? Number.POSITIVE_INFINITY) < (b.deadline ?? Number.POSITIVE_INFINITY);
}
