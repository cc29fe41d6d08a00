import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Deadline, Deadlines } from "../../src/engine/deadlines.ts";
import type { Instant } from "../../src/index.ts";

const at = (milliseconds: number): Instant => milliseconds as Instant;

test("deadlines come in order, equal ones as they were scheduled", () => {
  const deadlines = new Deadlines<string>();
  deadlines.schedule(at(5), "late");
  deadlines.schedule(at(1), "first");
  deadlines.schedule(at(1), "second");
  assert.equal(deadlines.next(), 1);
  assert.equal(deadlines.take(at(0)), undefined);
  assert.deepEqual(
    [deadlines.take(at(5)), deadlines.take(at(5)), deadlines.take(at(5)), deadlines.take(at(5))],
    ["first", "second", "late", undefined],
  );
});

/** The same in the plainest way. */
class Model {
  readonly #deadlines = new Deadlines<number>();
  #entries: { readonly at: number; readonly id: number; readonly deadline: Deadline<number> }[] = [];
  #ids = 0;

  schedule(moment: number): void {
    const id = this.#ids++;
    this.#entries.push({ at: moment, id, deadline: this.#deadlines.schedule(at(moment), id) });
    this.#entries.sort((x, y) => x.at - y.at || x.id - y.id);
  }

  cancel(index: number): void {
    const [gone] = this.#entries.splice(index % (this.#entries.length + 1), 1);
    this.#deadlines.cancel(gone?.deadline);
    this.#deadlines.cancel(gone?.deadline);
  }

  take(now: number): void {
    const isDue = (this.#entries[0]?.at ?? Number.POSITIVE_INFINITY) <= now;
    const expected = isDue ? this.#entries.shift()?.id : undefined;
    assert.equal(this.#deadlines.take(at(now)), expected);
  }

  check(): void {
    assert.equal(this.#deadlines.size, this.#entries.length);
    assert.equal(this.#deadlines.next(), this.#entries[0]?.at);
  }
}

test("the same as a sorted list, for any sequence of schedule, cancel and take", () => {
  const step = fc.tuple(fc.constantFrom("schedule" as const, "cancel" as const, "take" as const), fc.nat(50));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const model = new Model();
      for (const [kind, value] of steps) {
        model[kind](value);
        model.check();
      }
    }),
  );
});

test("a hundred thousand deadlines that are put off again and again leave nothing behind", () => {
  const deadlines = new Deadlines<number>();
  const pending = Array.from({ length: 100_000 }, (_, id) => deadlines.schedule(at(id % 977), id));
  for (const [id, deadline] of pending.entries()) {
    deadlines.cancel(deadline);
    pending[id] = deadlines.schedule(at(1000 + (id % 991)), id);
  }
  assert.equal(deadlines.size, 100_000);
  let last = 0;
  for (let next = deadlines.next(); next !== undefined; next = deadlines.next()) {
    assert.ok(next >= last);
    last = next;
    deadlines.take(next);
  }
  assert.equal(deadlines.size, 0);
});
