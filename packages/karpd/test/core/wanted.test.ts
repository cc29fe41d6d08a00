/** `start: on-demand`, and connections that wait for a key. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { agree, assertNoViolations, keyed, makePair, type Pair, type PairOptions } from "./harness/pair.ts";
import type { Router } from "./harness/router.ts";

const onDemand = (more: PairOptions = {}): Pair => makePair({ ...more, session: { start: "on-demand" } });

function negotiations(router: Router): number {
  return router.events.filter(({ name }) => name === "rolloverStarted").length;
}

const wanted = { kind: "wanted", session: "r" } as const;

test("nothing is negotiated before a connection wants a key; mode required is closed meanwhile", () => {
  const pair = onDemand();
  pair.world.run(3600);
  assert.deepEqual([negotiations(pair.a), negotiations(pair.b)], [0, 0]);
  assert.equal(pair.a.session().safety, "closed until there is a key");
  assert.match(pair.a.rollover().waitingFor?.reason ?? "", /^on-demand: /);
  assert.equal(pair.tcp.isUp, false);
  assert.equal(pair.b.command(wanted)?.ok, true);
  assert.ok(pair.world.runUntil(() => agree(pair) && pair.tcp.isUp, 60));
  assert.deepEqual([negotiations(pair.a), negotiations(pair.b)], [0, 1], "the other end just answers");
  assertNoViolations(pair);
});

test("an asked-for key is not forgotten by a crash", () => {
  const pair = onDemand();
  pair.world.run(5);
  pair.world.isPartitioned = true;
  pair.a.command(wanted);
  pair.world.run(2);
  pair.a.crash();
  pair.a.start();
  pair.world.isPartitioned = false;
  assert.ok(pair.world.runUntil(() => agree(pair), 60));
});

test("once there is a key it rolls like any other, and waiting connections change nothing", () => {
  const pair = onDemand();
  pair.a.command(wanted);
  keyed(pair);
  const before = negotiations(pair.a) + negotiations(pair.b);
  for (let count = 0; count < 30; count++) {
    const reply = pair.a.command(wanted);
    assert.equal(reply?.ok, true);
    assert.match(reply?.text ?? "", /^r has key [0-9a-f]{16}/);
    pair.world.run(5);
  }
  assert.equal(negotiations(pair.a) + negotiations(pair.b), before);
  assert.ok(pair.world.runUntil(() => pair.a.rollover().completed === 1, 2 * 3600));
  assertNoViolations(pair);
});

test("a connection hastens an attempt that waits for its turn, once in ten seconds", () => {
  const pair = makePair({ isStopped: true });
  pair.b.disk.failure = "full";
  pair.a.start();
  pair.b.start();
  pair.world.run(3600);
  const waits = pair.world.runUntil(() => pair.a.rollover().step === "wanted", 60);
  assert.ok(waits, "b refuses for want of a store");
  const failures = (): number => pair.a.events.filter(({ name }) => name === "mktFailed").length;
  const before = failures();
  let refused = 0;
  for (let count = 0; count < 600; count++) {
    const reply = pair.a.command(wanted);
    if (reply?.ok === false) {
      assert.equal(reply.code, "tooOften");
      refused += 1;
    }
    pair.world.run(0.1);
  }
  const attempts = failures() - before;
  assert.ok(attempts >= 5 && attempts <= 8, `${attempts} attempts in a minute`);
  assert.ok(refused > 500, `${refused} refused`);
  pair.b.disk.failure = undefined;
  pair.world.run(70);
  pair.a.command(wanted);
  assert.ok(pair.world.runUntil(() => agree(pair), 30));
});

test("a revocation is not undone by a connection", () => {
  const pair = onDemand();
  pair.a.command(wanted);
  keyed(pair);
  pair.a.command({ kind: "revoke", session: "r", reason: "stolen" });
  pair.world.run(5);
  const reply = pair.a.command(wanted);
  assert.equal(reply?.ok === false && reply.code, "revoked");
  pair.world.run(600);
  assert.equal(
    pair.a.keysIn("held", "installed", "preferred", "current").filter((key) => key.createdBy === "ike").length,
    0,
  );
});

test("a segment with an unknown key wakes a session on demand, once in ten seconds (DESIGN section 5 step 1)", () => {
  const pair = onDemand();
  pair.world.run(60);
  assert.deepEqual([negotiations(pair.a), negotiations(pair.b)], [0, 0]);
  pair.b.input({ kind: "unknownKeySeen" });
  assert.ok(pair.world.runUntil(() => agree(pair) && pair.tcp.isUp, 60));
  assert.deepEqual([negotiations(pair.a), negotiations(pair.b)], [0, 1]);
  assert.match(
    pair.b.events.find(({ name }) => name === "rolloverStarted")?.text ?? "",
    /a segment came with a key that is not known here/,
  );
  assertNoViolations(pair);
});

test("segments with unknown keys replace no key, undo no revocation, and cannot make more than six attempts a minute", () => {
  const pair = onDemand();
  pair.world.run(60);
  pair.world.isPartitioned = true;
  for (let count = 0; count < 1200; count++) {
    pair.a.input({ kind: "unknownKeySeen" });
    pair.world.run(0.1);
  }
  const asked = negotiations(pair.a);
  assert.ok(asked >= 1 && asked <= 2, `${asked} rollovers in two minutes`);
  pair.world.isPartitioned = false;
  keyed(pair, 600);
  const [before] = pair.a.keysIn("current");
  for (let count = 0; count < 60; count++) {
    pair.a.input({ kind: "unknownKeySeen" });
    pair.world.run(1);
  }
  assert.equal(pair.a.keysIn("current")[0]?.fingerprint, before?.fingerprint);
  pair.a.command({ kind: "revoke", session: "r", reason: "stolen" });
  pair.world.run(600);
  pair.a.input({ kind: "unknownKeySeen" });
  pair.world.run(600);
  assert.equal(pair.a.keysIn("current").filter(({ createdBy }) => createdBy === "ike").length, 0);
});
