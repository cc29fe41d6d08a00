import assert from "node:assert/strict";
import test from "node:test";
import { agree, assertNoViolations, keyed, makePair, rolled } from "./harness/pair.ts";

test("smoke fake", () => {
  const pair = makePair();
  keyed(pair);
  for (let i = 0; i < 3; i++) rolled(pair, pair.a);
  rolled(pair, pair.b);
  pair.world.run(4000);
  assertNoViolations(pair);
  assert.ok(agree(pair));
  console.log(
    pair.world.steps,
    pair.tcp.restarts,
    pair.tcp.segments,
    pair.a.keys().map((k) => k.state),
    pair.a.rollover(),
  );
});
test("smoke real", () => {
  const pair = makePair({ engine: "real" });
  keyed(pair);
  for (let i = 0; i < 3; i++) rolled(pair, pair.a);
  pair.world.run(4000);
  assertNoViolations(pair);
});
