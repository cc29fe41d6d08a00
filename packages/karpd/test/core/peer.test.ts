import assert from "node:assert/strict";
import test from "node:test";
import { agree, assertNoViolations, configurationOf, keyed, makePair, peerOf, rolled } from "./harness/pair.ts";

test("a peer without the Vendor ID: preferred after settle, current by own observation", () => {
  const pair = makePair({ speaksKarp: false });
  const start = pair.world.milliseconds;
  keyed(pair, 200);
  assert.ok(pair.world.milliseconds - start > 30_000);
  rolled(pair, pair.a, 200);
  pair.world.run(2 * 3600);
  assert.ok(agree(pair));
  assertNoViolations(pair);
});

test("the IKE SA may die, be closed, or come with INITIAL_CONTACT: MKTs stay", () => {
  const pair = makePair();
  keyed(pair);
  const before = pair.a.keys().map(({ fingerprint }) => fingerprint);
  pair.world.isPartitioned = true;
  pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  pair.world.run(120);
  assert.ok(pair.a.eventNames().includes("ikeSaClosed"));
  for (const fingerprint of before) assert.ok(pair.a.keys().some((key) => key.fingerprint === fingerprint));
  pair.world.isPartitioned = false;
  assert.ok(pair.world.runUntil(() => agree(pair) && pair.a.rollover().completed === 1, 600));
  assertNoViolations(pair);
});

test("the peer restarts: its keys come back from its store, and rollovers go on", () => {
  const pair = makePair();
  keyed(pair);
  pair.b.crash();
  pair.world.run(60);
  pair.b.start();
  pair.world.run(60);
  assert.ok(agree(pair));
  rolled(pair, pair.b, 300);
  assertNoViolations(pair);
});

test("a silent peer: the keys in place work past the soft lifetime, the view says who is waited for", () => {
  const pair = makePair();
  keyed(pair);
  pair.b.crash();
  pair.world.run(2 * 3600);
  assert.ok(
    pair.world.runUntil(() => pair.a.rollover().nextAt !== undefined, 60),
    "between two attempts",
  );
  const rollover = pair.a.rollover();
  assert.equal(rollover.waitingFor?.whom, "b");
  assert.ok(rollover.waitingFor?.since !== undefined && rollover.nextAt !== undefined);
  assert.equal(rollover.atHardDeadline, "the key is kept, with an alarm");
  assert.equal(pair.a.session().safe, true);
  assertNoViolations(pair);
});

test("only the identity and credential that made an MKT may rekey, delete or comment on it", () => {
  const pair = makePair();
  keyed(pair);
  const [current] = pair.b.keysIn("current");
  // A comes back with another secret, which B is told to accept.
  for (const [router, other] of [
    [pair.a, "b"],
    [pair.b, "a"],
  ] as const) {
    const configuration = configurationOf(router.parts.name === "a" ? "a" : "b");
    router.parts.configuration = {
      ...configuration,
      peers: [peerOf(router.parts.name, other, "ffffffffffffffffffffffffffffffff")],
    };
    router.crash();
    router.start();
  }
  assert.ok(
    pair.world.runUntil(() => agree(pair) && pair.b.keysIn("current")[0]?.fingerprint !== current?.fingerprint, 300),
  );
  const old = pair.b.keys().find(({ fingerprint }) => fingerprint === current?.fingerprint);
  assert.equal(old?.state, "retiring");
  assertNoViolations(pair);
});

test("an old store restored: the key in use is foreign, kept, said, and rolled away from", () => {
  const pair = makePair({ rollover: { drainSeconds: 5, keepOldSeconds: 5 } });
  keyed(pair);
  const old = pair.b.disk.copy();
  rolled(pair, pair.a);
  pair.world.run(30);
  rolled(pair, pair.a);
  pair.b.crash();
  // The daemon keeps the key that karp wrote before its store was restored.
  for (const [recvId, key] of pair.b.daemon.keys) pair.b.daemon.foreign.set(recvId, key);
  pair.b.disk = old;
  pair.b.start();
  assert.ok(pair.world.runUntil(() => pair.b.eventNames().includes("driverForeign"), 60));
  assert.ok(pair.world.runUntil(() => agree(pair), 1200));
  assert.deepEqual(pair.tcp.drops, []);
});

test("reconfigure: a changed peer keeps its old key until the successor is in use; a removed session keeps its keys", () => {
  const pair = makePair();
  keyed(pair);
  const [old] = pair.a.keysIn("current");
  const configuration = configurationOf("a");
  pair.a.input({ kind: "reconfigure", configuration: { ...configuration, sessions: [] } });
  pair.world.run(100);
  assert.equal(pair.a.daemon.keys.size > 0, true);
  assert.equal(
    pair.a.keys().some(({ fingerprint }) => fingerprint === old?.fingerprint),
    true,
  );
  pair.a.input({ kind: "reconfigure", configuration });
  rolled(pair, pair.a, 300);
  assertNoViolations(pair);
  pair.a.input({
    kind: "reconfigure",
    configuration: { ...configuration, sessions: [...configuration.sessions, ...configuration.sessions] },
  });
  assert.match(pair.a.events.at(-1)?.text ?? "", /nothing was changed: session r stands there twice/);
  pair.world.run(100);
  assert.ok(agree(pair));
});

test("narrowed selectors that leave out the session's port key nothing here (RFC 7296 section 2.9)", () => {
  const pair = makePair({ engine: "real", mode: "opportunistic", sessionB: { port: 1790 } });
  pair.world.run(120);
  for (const { daemon } of [pair.a, pair.b]) assert.equal(daemon.keys.size, 0);
  assert.deepEqual([...pair.a.keysIn("installed"), ...pair.a.keysIn("preferred"), ...pair.a.keysIn("current")], []);
});

test("a SendID whose fate is unknown is not asked for again while its D is under way: the answer would take the new MKT", () => {
  for (const engine of ["fake", "real"] as const) {
    for (let seconds = 0; seconds < 60; seconds += 1.5) {
      const pair = makePair({ engine, seed: 1 + seconds });
      keyed(pair);
      pair.world.run(300);
      const [before] = pair.a.keysIn("current");
      pair.b.crash();
      pair.a.ask({ kind: "RKMP_rekeySA", session: "r" });
      assert.ok(pair.world.runUntil(() => pair.a.eventNames().includes("mktFailed"), 120));
      pair.world.run(seconds);
      pair.b.start();
      const isRolled = (): boolean => agree(pair) && pair.a.keysIn("current")[0]?.fingerprint !== before?.fingerprint;
      assert.ok(pair.world.runUntil(isRolled, 180), pair.a.log.join("\n"));
      const given = pair.a.log.filter((line) => line.includes("given up"));
      assert.deepEqual(given, [], `${engine}, ${seconds} s: ${pair.a.log.join("\n")}`);
      assertNoViolations(pair);
    }
  }
});
