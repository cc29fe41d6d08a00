// Whatever happened to a store, a credential or an address: replaced keys leave both ends, and there is room for new ones.
import assert from "node:assert/strict";
import test from "node:test";
import type { SessionConfiguration } from "../../src/core/configuration.ts";
import { agree, assertNoViolations, hour, keyed, makePair, type Pair, peerOf, rolled } from "./harness/pair.ts";
import { Disk, type Router } from "./harness/router.ts";

const engines = ["fake", "real"] as const;
const quick = { drainSeconds: 5, keepOldSeconds: 5 } as const;
const days = 24 * hour;

function liveKeys(router: Router): number {
  return router.keys().filter(({ state }) => state !== "removed").length;
}

/** One key in use at both ends, and nothing that is left from former ones. */
function assertTidy(pair: Pair, when: string): void {
  assert.ok(
    pair.world.runUntil(() => agree(pair) && liveKeys(pair.a) === 1 && liveKeys(pair.b) === 1, hour),
    `${when}: ${JSON.stringify([...pair.a.keys(), ...pair.b.keys()].map(({ fingerprint, state, peerState }) => [fingerprint, state, peerState]))}`,
  );
}

function reconfigure(router: Router, change: Partial<Router["parts"]["configuration"]>): void {
  router.parts.configuration = { ...router.parts.configuration, ...change };
  router.input({ kind: "reconfigure", configuration: router.parts.configuration });
}

function changeSession(router: Router, change: Partial<SessionConfiguration>): void {
  reconfigure(router, { sessions: router.parts.configuration.sessions.map((one) => ({ ...one, ...change })) });
}

for (const engine of engines) {
  test(`a peer that loses its store, nine times in a row (${engine})`, () => {
    const pair = makePair({ engine, rollover: quick });
    keyed(pair);
    for (let count = 1; count <= 9; count++) {
      pair.world.run(600);
      pair.b.crash();
      pair.b.disk = new Disk();
      pair.b.daemon.loseKeys();
      pair.tcp.reset();
      pair.b.start();
      assert.ok(
        pair.world.runUntil(() => agree(pair), 900),
        `loss ${count}`,
      );
    }
    pair.world.run(hour);
    assertTidy(pair, "after nine losses");
    assert.ok(pair.tcp.isUp && pair.tcp.isSigned);
  });

  test(`nine losses within the time that old keys are kept: there is room for a new key each time (${engine})`, () => {
    const pair = makePair({ engine, rollover: { everySeconds: 30 * days, hardSeconds: 90 * days, drainSeconds: 60 } });
    keyed(pair);
    for (let count = 1; count <= 9; count++) {
      pair.world.run(600);
      pair.b.crash();
      pair.b.disk = new Disk();
      pair.b.daemon.loseKeys();
      pair.tcp.reset();
      pair.b.start();
      assert.ok(
        pair.world.runUntil(() => agree(pair), 1800),
        `loss ${count}: ${liveKeys(pair.a)} keys at a`,
      );
    }
    pair.world.run(2 * days);
    assertTidy(pair, "two days later");
  });

  test(`the store of a day ago: the key that it knows and the one that it does not leave both ends (${engine})`, () => {
    const pair = makePair({ engine, rollover: quick });
    keyed(pair);
    pair.world.run(60);
    const old = pair.b.disk.copy();
    pair.world.run(days);
    pair.b.crash();
    for (const [recvId, key] of pair.b.daemon.keys) pair.b.daemon.foreign.set(recvId, key);
    pair.b.disk = old;
    pair.b.start();
    pair.world.run(days);
    assertTidy(pair, "a day later");
    assert.deepEqual(pair.tcp.drops, []);
  });

  test(`a full disk while the peer says that it leaves the old key, and a restart (${engine})`, () => {
    const pair = makePair({ engine, rollover: { drainSeconds: 60 } });
    keyed(pair);
    pair.world.run(600);
    const [old] = pair.a.keysIn("current");
    pair.b.command({ kind: "RKMP_rekeySA", session: "r" });
    const isRetiring = (): boolean =>
      pair.a.keysIn("retiring").some(({ fingerprint }) => fingerprint === old?.fingerprint);
    assert.ok(pair.world.runUntil(isRetiring, 600));
    pair.a.disk.failure = "no space left on device";
    pair.world.run(300);
    pair.a.crash();
    pair.world.run(5);
    pair.a.disk.failure = undefined;
    pair.a.start();
    pair.world.run(2 * hour);
    for (const router of [pair.a, pair.b]) {
      const left = router
        .keys()
        .filter(({ fingerprint, state }) => fingerprint === old?.fingerprint && state !== "removed");
      assert.deepEqual(left, [], router.parts.name);
    }
    assertNoViolations(pair);
  });

  test(`nine changes of the pre-shared key: each time a new key, and the old one leaves both ends (${engine})`, () => {
    const pair = makePair({ engine, rollover: { ...quick, keepOldSeconds: 60 } });
    keyed(pair);
    pair.world.run(200);
    for (let count = 1; count <= 9; count++) {
      const [before] = pair.a.keysIn("current");
      const secret = `0123456789abcde${count}fedcba9876543210`;
      reconfigure(pair.a, { peers: [peerOf("a", "b", secret)] });
      pair.world.run(2);
      reconfigure(pair.b, { peers: [peerOf("b", "a", secret)] });
      const isNew = (): boolean => agree(pair) && pair.a.keysIn("current")[0]?.fingerprint !== before?.fingerprint;
      assert.ok(pair.world.runUntil(isNew, 600), `change ${count}`);
      pair.world.run(600);
      assertTidy(pair, `after change ${count}`);
    }
    rolled(pair, pair.b);
    assertNoViolations(pair);
  });

  test(`another address and port of a session: a key of its own, and the old one leaves (${engine})`, () => {
    const pair = makePair({ engine, rollover: { everySeconds: 30 * days, hardSeconds: 90 * days, drainSeconds: 5 } });
    keyed(pair);
    pair.world.run(100);
    const [before] = pair.a.keysIn("current");
    changeSession(pair.a, { remoteAddress: "10.0.0.9", port: 1790 });
    changeSession(pair.b, { localAddress: "10.0.0.9", port: 1790 });
    const isNew = (): boolean => agree(pair) && pair.a.keysIn("current")[0]?.fingerprint !== before?.fingerprint;
    assert.ok(pair.world.runUntil(isNew, 300));
    const caller = { uid: 0, gid: 0, pid: 1 };
    assert.equal(pair.a.command({ kind: "Keytable_getSA", session: "r", caller })?.ok, true);
    pair.world.run(5);
    const [current] = pair.a.keysIn("current");
    const row = current === undefined ? undefined : pair.a.disk.rows.get(current.adminKeyName);
    assert.deepEqual([row?.protocolSpecificInfo.remoteAddress, row?.protocolSpecificInfo.port], ["10.0.0.9", 1790]);
    pair.world.run(2 * days);
    assertTidy(pair, "two days later");
    assertNoViolations(pair);
  });
}

test("a crash between the end of a placeholder and its removal from the driver: it goes after the restart", () => {
  const pair = makePair({ rollover: quick, isStopped: true });
  pair.a.start();
  pair.world.run(30);
  pair.b.start();
  assert.ok(
    pair.world.runUntil(
      () => pair.a.keys().some(({ state, createdBy }) => state === "retiring" && createdBy !== "ike"),
      120,
    ),
  );
  pair.a.crash();
  pair.a.start();
  pair.world.run(600);
  assertTidy(pair, "after the restart");
});
