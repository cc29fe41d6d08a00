/** KMP_KEY_LIFETIME: what each end makes of the other's hint (docs/protocol/private-code-points.md). */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { IkeEvent, KeyLifetime } from "@karp/ikev2";
import { assertNoViolations, hour, keyed, makePair, type Pair, rolled } from "./harness/pair.ts";
import type { Router } from "./harness/router.ts";

function softAt(router: Router): number {
  return Date.parse(router.rollover().softDeadline ?? "");
}

/** Seconds by which b is later. */
function distance({ a, b }: Pair): number {
  return (softAt(b) - softAt(a)) / 1000;
}

function near(one: string | undefined, other: string | undefined): void {
  const apart = Math.abs(Date.parse(one ?? "") - Date.parse(other ?? ""));
  assert.ok(apart <= 2000, `${one} is not about ${other}`);
}

for (const engine of ["fake", "real"] as const) {
  test(`each end knows the other's deadlines, and the later one stays behind (${engine} engine)`, () => {
    const pair = makePair({ engine, rollover: { jitter: 0 }, sessionB: {} });
    keyed(pair);
    // The first key comes in IKE_AUTH, the second in CREATE_CHILD_SA, asked for by either end
    for (const router of [pair.a, pair.b]) {
      near(pair.a.rollover().peerSoftDeadline, pair.b.rollover().softDeadline);
      near(pair.b.rollover().peerSoftDeadline, pair.a.rollover().softDeadline);
      near(pair.a.rollover().peerHardDeadline, pair.b.rollover().hardDeadline);
      assert.ok(distance(pair) >= hour / 20 - 1, `only ${distance(pair)} s apart`);
      rolled(pair, router);
    }
    assertNoViolations(pair);
  });
}

test("at every rollover one end begins, and the other has nothing to begin", () => {
  const pair = makePair({ rollover: { jitter: 0 } });
  keyed(pair);
  pair.world.run(10.5 * hour);
  const begun = (router: Router): number =>
    router.events.filter(({ name, text }) => name === "rolloverStarted" && text.includes("soft lifetime")).length;
  assert.deepEqual([begun(pair.a), begun(pair.b)], [10, 0]);
  assertNoViolations(pair);
});

test("the end with the later deadline rolls all the same when the earlier one does not", () => {
  const pair = makePair({ rollover: { jitter: 0 } });
  keyed(pair);
  pair.a.command({ kind: "freeze", session: "r", seconds: 24 * hour });
  const before = pair.b.rollover().completed;
  pair.b.misuse({ kind: "inform", requestId: 999, peer: "a", items: [{ kind: "freeze", seconds: 0 }], connect: true });
  pair.world.run(hour * 1.2);
  assert.equal(pair.b.rollover().completed, before, "it is held back by the freeze, and says so");
  assert.ok(pair.b.events.some(({ name, text }) => name === "rolloverStarted" && text.includes("soft lifetime")));
  pair.a.command({ kind: "thaw", session: "r" });
  assert.ok(pair.world.runUntil(() => pair.b.rollover().completed > before, 600));
  assertNoViolations(pair);
});

const absurd: readonly (readonly [string, KeyLifetime])[] = [
  ["a second", { softSeconds: 1, hardSeconds: 1 }],
  ["ten years", { softSeconds: 3660 * 86_400, hardSeconds: 3660 * 86_400 }],
  ["just before ours", { softSeconds: hour - 1, hardSeconds: hour }],
  ["the same as ours", { softSeconds: hour, hardSeconds: hour }],
];

for (const [name, peerLifetime] of absurd) {
  test(`a hint moves our own rollover by a twentieth of the period at most: ${name}`, () => {
    const pair = makePair({ rollover: { jitter: 0 } });
    const alter = (event: IkeEvent): IkeEvent => (event.kind === "mktNegotiated" ? { ...event, peerLifetime } : event);
    for (const router of [pair.a, pair.b]) router.alter = alter;
    keyed(pair);
    for (const router of [pair.a, pair.b]) {
      const [key] = router.keysIn("current");
      const life = (Date.parse(key?.softExpiresAt ?? "") - Date.parse(key?.history["held"] ?? "")) / 1000;
      assert.ok(life >= hour && life <= hour * 1.05 + 2 + hour / 20, `${life} s`);
    }
    pair.world.run(3.2 * hour);
    assert.ok(pair.a.rollover().completed >= 2, "rollovers go on");
    assertNoViolations(pair);
  });
}

test("never moved to beyond the hard lifetime", () => {
  const pair = makePair({ rollover: { jitter: 0, hardSeconds: hour + 60 } });
  keyed(pair);
  for (const router of [pair.a, pair.b]) {
    assert.ok(softAt(router) < Date.parse(router.rollover().hardDeadline ?? ""));
  }
});

test("the hard lifetime is each end's own, with a draw of its own, and never later than configured", () => {
  const ends = [1, 2, 3, 4].flatMap((seed) => {
    const pair = makePair({ seed });
    keyed(pair);
    assertNoViolations(pair);
    return [pair.a, pair.b].map((router) => {
      const [key] = router.keysIn("current");
      const life = (at: string | undefined): number =>
        (Date.parse(at ?? "") - Date.parse(key?.history["held"] ?? "")) / 1000;
      return { soft: life(key?.softExpiresAt), hard: life(key?.hardExpiresAt) };
    });
  });
  for (const { soft, hard } of ends)
    assert.ok(hard > 3 * hour * 0.9 - 1 && hard <= 3 * hour && hard > soft, `${hard} s`);
  assert.equal(new Set(ends.map(({ hard }) => hard)).size, ends.length, "all of them differ");
  // Not the soft one's draw again
  const shares = ends.map(({ soft, hard }) => (3 * hour - hard) / 3 - Math.abs(soft - hour));
  assert.ok(new Set(shares.map(Math.round)).size > 2, `${shares}`);
});

test("the hard lifetime stays behind the soft one, however little lies between", () => {
  for (const seed of [1, 2, 3, 4]) {
    const pair = makePair({ seed, rollover: { jitter: 0.1, hardSeconds: hour * 1.1 + 10 } });
    keyed(pair);
    for (const router of [pair.a, pair.b]) {
      assert.ok(softAt(router) < Date.parse(router.rollover().hardDeadline ?? ""), `seed ${seed}`);
    }
  }
});

test("a restart forgets the peer's deadlines, and keeps its own plan", () => {
  const pair = makePair({ rollover: { jitter: 0 } });
  keyed(pair);
  const before = softAt(pair.b);
  pair.b.crash();
  pair.b.start();
  pair.world.run(1);
  assert.equal(pair.b.rollover().peerSoftDeadline, undefined);
  assert.ok(Math.abs(softAt(pair.b) - before) < 1000);
});
