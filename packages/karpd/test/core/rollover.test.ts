import assert from "node:assert/strict";
import test from "node:test";
import { NotifyType } from "@karp/ikev2";
import { agree, assertNoViolations, keyed, makePair, rolled } from "./harness/pair.ts";

for (const engine of ["fake", "real"] as const) {
  test(`ten rollovers, asked for by either end, never drop a segment (${engine} engine)`, () => {
    const pair = makePair({ engine, rollover: { drainSeconds: 5, keepOldSeconds: 10 } });
    keyed(pair);
    const restarts = pair.tcp.restarts;
    for (let count = 0; count < 10; count++) {
      rolled(pair, count % 2 === 0 ? pair.a : pair.b);
      pair.world.run(20);
    }
    assert.equal(pair.tcp.restarts, restarts, "the session stays up");
    assertNoViolations(pair);
  });

  test(`soft lifetimes roll by themselves for a day (${engine} engine)`, () => {
    const pair = makePair({ engine });
    keyed(pair);
    pair.world.run(24 * 3600);
    assert.ok(pair.a.rollover().completed >= 20, `${pair.a.rollover().completed} rollovers`);
    assert.ok(agree(pair));
    assert.ok(pair.a.keysIn("current", "retiring", "preferred", "installed", "held").length <= 2);
    assertNoViolations(pair);
  });
}

test("step 1: a soft lifetime is jittered, and one end acts before the other", () => {
  const pair = makePair();
  keyed(pair);
  const [a] = pair.a.keysIn("current");
  const [b] = pair.b.keysIn("current");
  const soft = (key: typeof a): number =>
    (Date.parse(key?.softExpiresAt ?? "") - Date.parse(key?.history["held"] ?? "")) / 1000;
  assert.ok(soft(a) >= 3240 && soft(a) <= 3600, `${soft(a)}`);
  assert.ok(soft(b) >= 3602 && soft(b) <= 3962, `${soft(b)}`);
});

test("step 1: a rollover waits for its daily window, unless somebody asks", () => {
  const pair = makePair({ rollover: { window: { startMinute: 120, endMinute: 240 }, hardSeconds: 7 * 24 * 3600 } });
  pair.world.wallOffset = Date.parse("2026-11-21T05:00:00Z") - pair.world.milliseconds;
  keyed(pair);
  pair.world.runUntil(() => pair.a.rollover().waitingFor?.reason.includes("window") === true, 2 * 3600);
  assert.equal(pair.a.rollover().completed, 0);
  assert.ok(pair.a.eventNames().includes("rolloverHeldBack"));
  rolled(pair, pair.a);
  assertNoViolations(pair);
});

test("step 2: the row is on disk before the response leaves", () => {
  const pair = makePair();
  pair.world.diskMilliseconds = 5000;
  assert.ok(pair.world.runUntil(() => pair.b.disk.rows.size > 1 || pair.a.disk.rows.size > 1, 120));
  // The responder has stored it, the initiator has not even heard of it.
  const [first, second] = pair.a.disk.rows.size > 1 ? [pair.a, pair.b] : [pair.b, pair.a];
  assert.equal(first.keysIn("held").filter(({ createdBy }) => createdBy === "ike").length, 1);
  assert.equal(second.keys().filter(({ createdBy }) => createdBy === "ike").length, 0);
  keyed(pair, 300);
  assertNoViolations(pair);
});

test("step 2: a held MKT whose peer never mentions it again is dropped after 600 s", () => {
  const pair = makePair();
  keyed(pair);
  // B answers one more request; its answer and everything after it is lost.
  pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  pair.world.filter = (_, from) => from === pair.b;
  assert.ok(pair.world.runUntil(() => pair.b.keysIn("held", "installed").length > 0, 60));
  pair.a.crash();
  pair.world.run(590);
  assert.equal(pair.b.keysIn("held", "installed").length, 1);
  pair.world.run(60);
  assert.equal(pair.b.keysIn("held", "installed").length, 0);
  assert.ok(pair.b.eventNames().includes("orphanRemoved"));
  assert.equal(pair.b.keysIn("current").length, 1);
});

test("step 3: ready is said only once the driver confirmed", () => {
  const pair = makePair();
  keyed(pair);
  pair.b.daemon.script = Array.from(
    { length: 6 },
    () => ({ kind: "pending", reason: "bird.conf is being edited" }) as const,
  );
  pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  pair.world.run(10);
  assert.equal(pair.a.rollover().step, "installed");
  assert.equal(pair.a.rollover().waitingFor?.whom, "b");
  assert.match(pair.a.rollover().waitingFor?.reason ?? "", /bird\.conf is being edited/);
  assert.ok(pair.world.runUntil(() => agree(pair) && pair.a.rollover().completed === 1, 300));
  assertNoViolations(pair);
});

test("a driver that says when the keys go in is asked again then, and not before (DESIGN section 6)", () => {
  const pair = makePair();
  keyed(pair);
  const announced = { kind: "pending", reason: "BIRD reads it at 12:00:00", againAfterSeconds: 40 } as const;
  pair.b.daemon.script = [announced, announced];
  pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  assert.ok(pair.world.runUntil(() => pair.b.daemon.script.length === 1, 10));
  const applied = pair.b.daemon.applied;
  pair.world.run(39);
  assert.deepEqual([pair.b.daemon.script.length, pair.b.daemon.applied], [1, applied]);
  pair.world.run(2);
  assert.equal(pair.b.daemon.script.length, 0, "asked again after 40 s");
  assert.ok(pair.world.runUntil(() => agree(pair) && pair.a.rollover().completed === 1, 60));
  assertNoViolations(pair);
});

test("step 4: a key that the peer withdraws is not preferred any more, and the old one is again", () => {
  const pair = makePair();
  keyed(pair);
  const [old] = pair.a.keysIn("current");
  // B accepts the new key and never prefers it: A cannot become current.
  pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  assert.ok(pair.world.runUntil(() => pair.a.keysIn("preferred").length === 1, 60));
  pair.excuses.push("b loses its keys");
  pair.b.daemon.script.push({ kind: "lost", reason: "the daemon was restarted" });
  pair.b.daemon.loseKeys();
  pair.world.run(120);
  assert.ok(pair.b.eventNames().includes("driverLost"));
  pair.world.run(600);
  assert.ok(agree(pair));
  assert.ok(old !== undefined);
});

test("step 4: nothing comes up within 30 s of preferring: the key seen in use is preferred again, with an alarm", () => {
  const pair = makePair();
  keyed(pair);
  const [old] = pair.a.keysIn("current");
  pair.excuses.push("b's driver lies");
  pair.b.daemon.lies = true;
  pair.b.daemon.canListKeys = false;
  pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  pair.world.run(20);
  pair.tcp.reset();
  pair.world.run(90);
  assert.ok(pair.a.events.some(({ name, severity }) => name === "rolloverHeldBack" && severity === "alarm"));
  assert.equal(pair.a.daemon.preferred?.sendId, old?.sendId);
  assert.ok(pair.tcp.isUp);
});

test("step 5: current is observed, never assumed", () => {
  const pair = makePair();
  keyed(pair);
  // No segment flows: both ends prefer, nobody calls it current.
  pair.world.sessions.length = 0;
  pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  pair.world.run(25);
  assert.equal(pair.a.keysIn("preferred").length, 1);
  assert.equal(pair.b.keysIn("preferred").length, 1);
  pair.world.sessions.push(pair.tcp);
  assert.ok(pair.world.runUntil(() => agree(pair) && pair.a.rollover().completed === 1, 20));
  assertNoViolations(pair);
});

test("step 5: without a connection at either end both ready count, and the session comes up with the new key", () => {
  const pair = makePair();
  keyed(pair);
  pair.tcp.isWanted = false;
  pair.world.run(60);
  rolled(pair, pair.a);
  pair.world.run(2 * 3600);
  pair.tcp.isWanted = true;
  pair.world.run(60);
  assert.ok(pair.tcp.isUp && pair.tcp.isSigned);
  assertNoViolations(pair);
});

test("step 5: a driver that cannot observe is current when the peer says in-use, never by time", () => {
  const pair = makePair({ isStopped: true });
  pair.b.daemon.observes = false;
  pair.a.start();
  pair.b.start();
  keyed(pair);
  rolled(pair, pair.a);
  assertNoViolations(pair);
});

test("step 5: two drivers that cannot observe take each other's word, given when the key has settled; time alone does nothing", () => {
  const blind = makePair({ isStopped: true });
  blind.a.daemon.observes = false;
  blind.b.daemon.observes = false;
  blind.a.start();
  blind.b.start();
  blind.world.run(20);
  assert.equal(blind.a.keysIn("preferred").length, 1, "not settled yet");
  blind.world.isPartitioned = true;
  blind.world.run(2000);
  assert.equal(blind.a.keysIn("current").length, 0, "without the peer's word");
  assert.equal(blind.a.keysIn("preferred").length, 1);
  blind.world.isPartitioned = false;
  blind.world.run(2000);
  assert.equal(blind.a.keysIn("current").length, 1);
  blind.world.run(8 * 3600);
  assert.equal(blind.a.keysIn("current").length, 1);
  assert.ok(blind.tcp.isUp && blind.tcp.isSigned);
  assertNoViolations(blind);
});

test("step 6: the old key stays for drain and keep-old, then rests 240 s", () => {
  const pair = makePair();
  keyed(pair);
  const [old] = pair.a.keysIn("current");
  rolled(pair, pair.a);
  const state = (): string | undefined =>
    pair.a.keys().find(({ adminKeyName }) => adminKeyName === old?.adminKeyName)?.state;
  pair.world.run(60 + 900 - 10);
  assert.equal(state(), "retiring");
  pair.world.run(20);
  assert.equal(state(), "removed");
  pair.world.run(230);
  assert.equal(state(), "removed");
  pair.world.run(20);
  assert.equal(state(), undefined);
  assertNoViolations(pair);
});

test("step 6: while the peer is silent its D is not answered, and the KeyIDs rest on", () => {
  const pair = makePair();
  keyed(pair);
  const [old] = pair.a.keysIn("current");
  rolled(pair, pair.a);
  pair.world.run(5);
  pair.world.isPartitioned = true;
  pair.world.run(2000);
  const found = (): string | undefined =>
    pair.a.keys().find(({ adminKeyName }) => adminKeyName === old?.adminKeyName)?.state;
  assert.equal(found(), "removed");
  pair.world.run(1000);
  assert.equal(found(), "removed");
  pair.world.isPartitioned = false;
  assert.ok(pair.world.runUntil(() => found() === undefined, 1200));
  assertNoViolations(pair);
});

test("simultaneous rekeys: the lowest of four nonces loses and is deleted by its creator (RFC 7296 section 2.8.1)", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const pair = makePair({ seed });
    keyed(pair);
    pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
    pair.b.command({ kind: "RKMP_rekeySA", session: "r" });
    assert.ok(
      pair.world.runUntil(() => agree(pair) && pair.a.rollover().completed === 1, 120),
      `seed ${seed}`,
    );
    pair.world.run(120);
    for (const router of [pair.a, pair.b]) {
      assert.equal(router.keysIn("held", "installed", "preferred").length, 0, `seed ${seed}: one survivor`);
      assert.equal(router.keysIn("current").length, 1);
    }
    assertNoViolations(pair);
  }
});

test("a late REKEY_SA of an MKT that is being replaced gets TEMPORARY_FAILURE (RFC 7296 section 2.25.1)", () => {
  const pair = makePair();
  keyed(pair);
  pair.b.daemon.script = Array.from({ length: 20 }, () => ({ kind: "pending", reason: "held up" }) as const);
  pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  assert.ok(pair.world.runUntil(() => pair.a.keysIn("held", "installed").length === 1, 30));
  const [current] = pair.b.keysIn("current");
  const decision = pair.b.policy?.consider(
    { peer: "a", recvId: 200, rekeys: current?.recvId ?? 0, inIkeAuth: false, localSelectors: [], remoteSelectors: [] },
    pair.world.now(),
  );
  assert.equal(decision?.kind, "refuse");
  const {
    localSelectors: _l,
    remoteSelectors: _r,
    ...bare
  } = { localSelectors: 0, remoteSelectors: 0, peer: "a", recvId: 200, rekeys: current?.recvId ?? 0, inIkeAuth: false };
  const late = pair.b.policy?.consider(bare, pair.world.now());
  assert.deepEqual(late?.kind === "refuse" && late.notifyType, NotifyType.TEMPORARY_FAILURE);
  const unknown = pair.b.policy?.consider({ ...bare, rekeys: 250 }, pair.world.now());
  assert.deepEqual(unknown?.kind === "refuse" && unknown.notifyType, NotifyType.CHILD_SA_NOT_FOUND);
});

test("a KeyID that is in use here is refused with the bitmap; no KeyID at all with NO_ADDITIONAL_SAS", () => {
  const pair = makePair({ session: { reservedKeyIds: Array.from({ length: 200 }, (_, id) => id) } });
  keyed(pair);
  const base = { peer: "a", inIkeAuth: false };
  const [current] = pair.b.keysIn("current");
  const taken = pair.b.policy?.consider({ ...base, recvId: current?.recvId ?? 0 }, pair.world.now());
  assert.equal(taken?.kind === "refuse" && taken.notifyType, NotifyType.KEYID_IN_USE);
  assert.equal(taken?.kind === "refuse" && taken.data?.length, 32);
  const full = pair.b.policy?.consider({ ...base, recvId: 255, taken: new Uint8Array(32).fill(255) }, pair.world.now());
  assert.equal(full?.kind === "refuse" && full.notifyType, NotifyType.NO_ADDITIONAL_SAS);
});

test("KeyIDs run out: an alarm, and the key in place keeps working; with two left all is well", () => {
  const reserve = (free: number): readonly number[] => Array.from({ length: 256 - free }, (_, id) => id);
  const pair = makePair({ mode: "opportunistic", session: { reservedKeyIds: reserve(1) } });
  keyed(pair, 300);
  pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  pair.world.run(300);
  assert.ok(pair.a.eventNames().includes("keyIdsExhausted"));
  assert.ok(agree(pair) && pair.tcp.isUp);
  assertNoViolations(pair);
  const two = makePair({ mode: "opportunistic", session: { reservedKeyIds: reserve(2) } });
  keyed(two, 300);
  rolled(two, two.a);
  assertNoViolations(two);
});
