import assert from "node:assert/strict";
import test from "node:test";
import type { Instant } from "@karp/ikev2";
import { DeadlineHeap, type HeapItem } from "../../src/core/deadlineHeap.ts";
import { seeded } from "./harness/pair.ts";

test("a heap of deadlines agrees with a sorted list under any changes", () => {
  const random = seeded(7);
  const heap = new DeadlineHeap<HeapItem>();
  const items: HeapItem[] = Array.from({ length: 200 }, () => ({ deadline: undefined, heapIndex: -1 }));
  for (let step = 0; step < 5000; step++) {
    const item = items[Math.floor(random() * items.length)];
    assert.ok(item !== undefined);
    heap.set(item, random() < 0.2 ? undefined : (Math.floor(random() * 1000) as Instant));
    const deadlines = items.flatMap(({ deadline }) => (deadline === undefined ? [] : [deadline]));
    assert.equal(heap.earliest, deadlines.length === 0 ? undefined : Math.min(...deadlines));
    if (random() < 0.1) {
      const due = heap.takeDue(500 as Instant);
      if (due === undefined) assert.ok(deadlines.every((deadline) => deadline > 500));
      else assert.equal(due.deadline, undefined);
    }
  }
});
