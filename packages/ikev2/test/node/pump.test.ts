import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Clock, Pump } from "../../node/index.ts";
import type { Instant, Machine, Now, UnixMilliseconds } from "../../src/index.ts";

type Input = { readonly kind: "say"; readonly words: readonly string[] } | { readonly kind: "timeout" };

/** Says what it is told to; "!" is a fault. */
class Echo implements Machine<Input, string> {
  deadline: number | undefined;
  readonly times: number[] = [];

  handle(input: Input, now: Now): readonly string[] {
    if (input.kind === "timeout") {
      this.times.push(now.monotonic);
      this.deadline = undefined;
      return ["timeout"];
    }
    if (input.words.includes("!")) throw new RangeError("a fault of the caller's");
    return input.words;
  }

  nextDeadline(): Instant | undefined {
    return this.deadline as Instant | undefined;
  }
}

interface Bench {
  readonly machine: Echo;
  readonly pump: Pump<Input, string>;
  readonly performed: string[];
  readonly pass: (milliseconds: number) => void;
}

function bench(t: TestContext, perform: (effect: string, pump: Pump<Input, string>) => void = () => {}): Bench {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let elapsed = 0;
  const clock: Clock = { now: () => ({ monotonic: elapsed as Instant, wall: elapsed as UnixMilliseconds }) };
  const machine = new Echo();
  const performed: string[] = [];
  const pump: Pump<Input, string> = new Pump(
    machine,
    (effect) => {
      performed.push(effect);
      perform(effect, pump);
    },
    clock,
  );
  const pass = (milliseconds: number): void => {
    elapsed += milliseconds;
    t.mock.timers.tick(milliseconds);
  };
  return { machine, pump, performed, pass };
}

test("effects are performed in order; an input that comes out of one waits for the others", (t) => {
  const { pump, performed } = bench(t, (effect, own) => {
    if (effect === "a") own.input({ kind: "say", words: ["c", "d"] });
  });
  pump.input({ kind: "say", words: ["a", "b"] });
  assert.deepEqual(performed, ["a", "b", "c", "d"]);
});

test("the machine is woken at its deadline, once, and at the earlier one when that changes", (t) => {
  const { machine, pump, performed, pass } = bench(t);
  machine.deadline = 500;
  pump.start();
  pass(400);
  assert.deepEqual(performed, []);
  machine.deadline = 450;
  pump.input({ kind: "say", words: [] });
  pass(50);
  assert.deepEqual(machine.times, [450]);
  pass(10_000);
  assert.deepEqual(machine.times, [450]);
});

test("a deadline beyond the longest timer (2^31 - 1 ms) is waited for in steps", (t) => {
  const { machine, pump, pass } = bench(t);
  const month = 31 * 86_400_000;
  machine.deadline = month;
  pump.start();
  const before = month - 1;
  pass(2 ** 31 - 1);
  // The machine may be asked early: it then says the same deadline again
  machine.deadline = month;
  pump.input({ kind: "say", words: [] });
  const asked = machine.times.length;
  pass(before - (2 ** 31 - 1));
  assert.equal(machine.times.length, asked);
  pass(1);
  assert.equal(machine.times.at(-1), month);
});

test("a fault of the caller's comes back to the caller, and deadlines go on", (t) => {
  const { machine, pump, performed, pass } = bench(t);
  machine.deadline = 100;
  assert.throws(() => pump.input({ kind: "say", words: ["!"] }), RangeError);
  pass(100);
  assert.deepEqual(performed, ["timeout"]);
  pump.input({ kind: "say", words: ["still here"] });
  assert.deepEqual(performed, ["timeout", "still here"]);
});

test("nothing happens after stop, not even what was waiting", (t) => {
  const { machine, pump, performed, pass } = bench(t, (effect, own) => {
    if (effect !== "last") return;
    own.input({ kind: "say", words: ["never"] });
    own.stop();
  });
  machine.deadline = 100;
  pump.start();
  pump.input({ kind: "say", words: ["last"] });
  pass(1000);
  pump.input({ kind: "say", words: ["never"] });
  assert.deepEqual(performed, ["last"]);
});
