import assert from "node:assert/strict";
import { test } from "node:test";
import { KernelWatch } from "../../src/cli/demo/kernel.ts";

/** Looks at two routers; each entry is how many segments and KEEPALIVEs each has counted by then. */
function watch(looks: readonly (readonly [segments: number, keepalives: number])[], other = looks): KernelWatch {
  const seen = new KernelWatch();
  const state = (name: string, look = [0, 0] as readonly [number, number]) => {
    const statistics = { segmentsVerified: look[0], kernelKeepalives: look[1] };
    return { name, keys: [], rollovers: 0, statistics, starts: 1 };
  };
  for (const [index, look] of looks.entries()) seen.look([state("r1", look), state("r2", other[index])]);
  return seen;
}

const range = (length: number) => Array.from({ length }, (_, index) => index);

test("KEEPALIVEs at both ends for as long as segments come: it ran throughout", () => {
  assert.equal(watch(range(80).map((n) => [n, n])).ranThroughout, true);
  assert.equal(
    watch(range(80).map((n) => [n, Math.max(0, n - 10)])).ranThroughout,
    true,
    "it may begin a little later",
  );
});

test("none, at one end only, begun too late, or ended before the end: it did not", () => {
  const both = range(80).map((n) => [n, n] as const);
  assert.equal(new KernelWatch().ranThroughout, false, "nothing was seen");
  assert.equal(watch(range(80).map((n) => [n, 0])).ranThroughout, false);
  assert.equal(
    watch(
      both,
      range(80).map((n) => [n, 0]),
    ).ranThroughout,
    false,
  );
  assert.equal(watch(range(80).map((n) => [n, Math.max(0, n - 40)])).ranThroughout, false);
  assert.equal(watch(range(80).map((n) => [n, Math.min(n, 40)])).ranThroughout, false);
});

test("a daemon that is being started again hears neither: no silence", () => {
  const restarted = range(120)
    .map((n) => (n < 40 ? n : n < 80 ? 40 : n - 40))
    .map((n) => [n, n] as const);
  assert.equal(watch(restarted).ranThroughout, true);
});
