import assert from "node:assert/strict";
import test from "node:test";
import { agree, assertNoViolations, keyed, makePair, type Pair, rolled } from "./harness/pair.ts";
import type { Router } from "./harness/router.ts";

/** The keys of a routing daemon, with their use. */
function held(router: Router): readonly string[] {
  return [...router.daemon.keys.values()].map(({ key }) => key).sort();
}

function rollWithCrash(which: "a" | "b", engine: "fake" | "real", at: number): Pair {
  const pair = makePair({ engine, rollover: { drainSeconds: 5, keepOldSeconds: 10, quarantineSeconds: 20 } });
  keyed(pair);
  const router = pair[which];
  const [before] = pair.a.keysIn("current");
  router.crashAt = router.effectCount + at;
  pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  const isRolled = (): boolean => agree(pair) && pair.a.keysIn("current")[0]?.fingerprint !== before?.fingerprint;
  pair.world.run(90);
  if (!isRolled()) pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  assert.ok(pair.world.runUntil(isRolled, 1200), `crash of ${which} before effect ${at}`);
  // What a crash left with one end only is an orphan there.
  pair.world.run(800);
  assertNoViolations(pair);
  return pair;
}

for (const which of ["a", "b"] as const) {
  test(`invariant 5: ${which} crashes before each effect of a rollover; the same keys come back, nothing is dropped`, () => {
    for (let at = 1; at <= 60; at++) {
      const pair = rollWithCrash(which, "fake", at);
      assert.deepEqual(held(pair.a), held(pair.b), `crash of ${which} before effect ${at}`);
      assert.equal(pair.tcp.restarts, 1);
    }
  });

  test(`invariant 5 with the real engine, every fifth effect (${which})`, () => {
    for (let at = 1; at <= 60; at += 5) rollWithCrash(which, "real", at);
  });
}

test("persistFailed: what a peer asks for is refused, the rest is tried again, keys in place keep working", () => {
  const pair = makePair();
  keyed(pair);
  pair.b.disk.failure = "no space left on device";
  pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  pair.world.run(30);
  assert.ok(pair.b.eventNames().includes("storeFailed"));
  assert.ok(pair.a.events.some(({ name, data }) => name === "mktFailed" && data["notifyType"] === 43));
  assert.equal(pair.b.keysIn("held", "installed").length, 0);
  assert.ok(agree(pair) && pair.tcp.isUp);
  pair.b.disk.failure = undefined;
  assert.ok(pair.world.runUntil(() => agree(pair) && pair.a.rollover().completed === 1, 600));
  assert.ok(pair.b.eventNames().includes("storeRecovered"));
  assertNoViolations(pair);
});

test("no row is applied before it is on disk", () => {
  const pair = makePair();
  keyed(pair);
  pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  pair.a.disk.failure = "I/O error";
  pair.world.run(60);
  for (const key of pair.a.daemon.keys.values()) {
    const stored = [...pair.a.disk.rows.values()].some(
      ({ recvId, key: secret }) => recvId === key.recvId && secret !== undefined,
    );
    assert.ok(stored, `RecvID ${key.recvId} is in the daemon and not on disk`);
  }
});

test("the clock is stepped by years, also across a restart: no key is removed because of it", () => {
  for (const years of [10, -10]) {
    const pair = makePair();
    keyed(pair);
    pair.world.wallOffset += years * 365 * 86_400_000;
    pair.world.run(60);
    assert.ok(pair.a.eventNames().includes("clockStepped"));
    for (const router of [pair.a, pair.b]) {
      router.crash();
      pair.world.wallOffset += years * 365 * 86_400_000;
      router.start();
    }
    pair.world.run(600);
    assert.ok(agree(pair) && pair.tcp.isUp);
    rolled(pair, pair.a, 300);
    assertNoViolations(pair);
  }
});
