import assert from "node:assert/strict";
import test from "node:test";
import { Secret } from "@karp/ikev2";
import type { Command } from "../../src/core/machine.ts";
import { keyed, makePair, type Pair } from "./harness/pair.ts";
import type { Router } from "./harness/router.ts";

const root = { uid: 0, gid: 0, pid: 1 };

const manual = {
  session: "r",
  sendId: 250,
  recvId: 251,
  algorithm: "aes-128-cmac-96",
  coversTcpOptions: true,
} as const;

function key(): Secret {
  return new Secret(new Uint8Array(16).fill(7));
}

/** A pair that is keyed, and quiet: nothing waits for any store. */
function quiet(): Pair {
  const pair = makePair();
  keyed(pair);
  pair.world.run(200);
  return pair;
}

/** Each command whose effect has to outlive a crash, and what on the disk shows that it does. */
const commands: Readonly<
  Record<string, { readonly make: () => Command; readonly isStored: (router: Router) => boolean }>
> = {
  freeze: {
    make: () => ({ kind: "freeze", session: "r", seconds: 600 }),
    isStored: ({ disk }) => disk.facts.has("freeze:r"),
  },
  "freeze of all": {
    make: () => ({ kind: "freeze", seconds: 600 }),
    isStored: ({ disk }) => disk.facts.has("freeze:r"),
  },
  RKMP_generateSA: {
    make: () => ({ kind: "RKMP_generateSA", session: "r" }),
    isStored: ({ disk }) => disk.facts.has("request:r"),
  },
  RKMP_rekeySA: {
    make: () => ({ kind: "RKMP_rekeySA", session: "r" }),
    isStored: ({ disk }) => disk.facts.has("request:r"),
  },
  Keytable_insertSA: {
    make: () => ({ kind: "Keytable_insertSA", row: { ...manual, masterKey: key() }, caller: root }),
    isStored: ({ disk }) => [...disk.rows.values()].some(({ sendId }) => sendId === 250),
  },
  Keytable_rekeySA: {
    make: () => ({ kind: "Keytable_rekeySA", session: "r", row: { ...manual, masterKey: key() }, caller: root }),
    isStored: ({ disk }) => [...disk.rows.values()].some(({ sendId }) => sendId === 250),
  },
  revoke: {
    make: () => ({ kind: "revoke", session: "r", reason: "stolen" }),
    isStored: ({ disk }) =>
      disk.facts.has("revoked:r") &&
      [...disk.rows.values()].every(({ createdBy, key: k }) => createdBy !== "ike" || k === undefined),
  },
};

for (const [name, { make, isStored }] of Object.entries(commands)) {
  test(`${name}: no reply before the fact is on disk, so that a crash right after it loses nothing`, () => {
    const { a, world } = quiet();
    world.diskMilliseconds = 2000;
    assert.equal(a.command(make()), undefined);
    world.run(1.9);
    assert.equal(a.lastReply(), undefined);
    assert.equal(isStored(a), false);
    // The crash comes in the turn of the reply.
    assert.ok(world.runUntil(() => a.lastReply() !== undefined, 60));
    a.crash();
    assert.equal(a.lastReply()?.ok, true, a.lastReply()?.text);
    assert.ok(isStored(a));
  });

  test(`${name}: the reply is an error when the store fails`, () => {
    const { a, world } = quiet();
    a.disk.failure = "no space left on device";
    const reply = a.ask(make());
    assert.equal(reply?.ok === false && reply.code, "notStored");
    assert.match(reply?.text ?? "", /is not on disk: no space left on device; karp tries again/);
    assert.equal(isStored(a), false);
    const count = a.replies.size;
    world.run(10);
    a.disk.failure = undefined;
    assert.ok(
      world.runUntil(() => isStored(a), 120),
      "it is tried again",
    );
    assert.equal(a.replies.size, count, "answered once");
  });
}

test("thaw: no reply before the freeze is off the disk; an error when the store fails", () => {
  for (const failure of [undefined, "I/O error"]) {
    const { a, world } = quiet();
    a.ask({ kind: "freeze", session: "r", seconds: 600 });
    world.diskMilliseconds = 2000;
    a.disk.failure = failure;
    assert.equal(a.command({ kind: "thaw" }), undefined);
    world.run(1.9);
    assert.equal(a.lastReply(), undefined);
    world.run(0.2);
    assert.equal(a.lastReply()?.ok, failure === undefined);
    assert.equal(a.disk.facts.has("freeze:r"), failure !== undefined);
  }
});

test("the lifting of a revocation outlives a crash right after the reply", () => {
  const { a, world } = quiet();
  a.ask({ kind: "revoke", session: "r", reason: "stolen" });
  assert.equal(a.ask({ kind: "RKMP_generateSA", session: "r" })?.ok, true);
  a.crash();
  assert.equal(a.disk.facts.has("revoked:r"), false);
  a.start();
  assert.ok(world.runUntil(() => a.keysIn("current").length === 1, 900));
});

test("Keytable_delete: the reply waits for a row that an earlier save does not hold", () => {
  const { a, world } = quiet();
  const inserted = a.ask({ kind: "Keytable_insertSA", row: { ...manual, masterKey: key() }, caller: root });
  assert.ok(inserted?.ok === true && inserted.adminKeyName !== undefined);
  const adminKeyName = inserted.adminKeyName;
  world.run(60);
  world.diskMilliseconds = 1000;
  a.command({ kind: "freeze", session: "r", seconds: 600 });
  world.run(0.5);
  a.command({ kind: "Keytable_delete", adminKeyName, caller: root });
  world.run(0.9);
  // The freeze is on disk, the removal is not.
  assert.ok(a.disk.facts.has("freeze:r"));
  assert.equal(a.lastReply(), undefined);
  assert.ok(world.runUntil(() => a.lastReply() !== undefined, 10));
  assert.notEqual(a.disk.rows.get(adminKeyName)?.state, "installed");
  // Of what retires already nothing is left to store: the answer comes at once.
  world.run(5);
  assert.equal(a.ask({ kind: "Keytable_delete", adminKeyName, caller: root }) !== undefined, true);
});

test("a command that changes nothing is answered at once", () => {
  const { a } = quiet();
  const reply = a.command({ kind: "thaw", session: "r" });
  assert.deepEqual(reply, { ok: true, text: "rollovers of r were not frozen" });
});

test("KMP_FREEZE leaves only once the freeze is on disk, and not at all while the store fails", () => {
  const { a, world } = quiet();
  a.disk.failure = "no space left on device";
  a.ask({ kind: "freeze", session: "r", seconds: 600 });
  world.run(30);
  assert.deepEqual(a.frozen, []);
  a.disk.failure = undefined;
  assert.ok(world.runUntil(() => a.disk.facts.has("freeze:r"), 60));
  world.run(1);
  const [seconds] = a.frozen;
  assert.ok(seconds !== undefined && seconds > 500 && seconds <= 571, `what is left of it is told: ${seconds} s`);
});

test("a revocation that was cut off by a crash, at any effect, is finished after it", () => {
  for (let at = 1; at <= 30; at++) {
    const { a, world } = quiet();
    const used = [...a.daemon.keys.values()].map((held) => held.key);
    a.crashAt = a.effectCount + at;
    a.command({ kind: "revoke", session: "r", reason: "stolen" });
    world.run(300);
    if (!a.disk.facts.has("revoked:r")) continue;
    const inUse = [...a.daemon.keys.values()].filter((held) => used.includes(held.key));
    assert.deepEqual(inUse, [], `crash before effect ${at}`);
    const live = a.keys().filter(({ createdBy, state }) => createdBy === "ike" && state !== "removed");
    assert.deepEqual(live, [], `crash before effect ${at}`);
  }
});

test("an answer that was on its way does not undo a revocation", () => {
  for (const name of ["a", "b"] as const) {
    const pair = quiet();
    const router = pair[name];
    pair.world.latencyMilliseconds = 2000;
    router.ask({ kind: "RKMP_rekeySA", session: "r" });
    assert.ok(pair.world.runUntil(() => router.rollover().step === "negotiating", 5));
    router.ask({ kind: "revoke", session: "r", reason: "stolen" });
    assert.equal(router.rollover().step, "negotiating");
    const isLive = (): boolean =>
      router.keys().some(({ createdBy, state }) => createdBy === "ike" && state !== "removed");
    assert.equal(pair.world.runUntil(isLive, 120), false, name);
    assert.equal(router.rollover().step, "idle");
  }
});

test("only that a key is gone is said before everything is on disk, never a freeze", () => {
  const { a, world } = quiet();
  a.disk.failure = "no space left on device";
  a.ask({ kind: "freeze", session: "r", seconds: 600 });
  const before = a.told.length;
  // The daemon loses its keys, and they cannot be put back.
  a.daemon.loseKeys();
  a.daemon.script = Array.from({ length: 50 }, () => ({ kind: "pending", reason: "it is down" }) as const);
  world.run(120);
  assert.deepEqual([...new Set(a.told.slice(before).map(({ state }) => state))], [3]);
  assert.deepEqual(a.frozen, []);
});

test("a request for a key outlives a crash", () => {
  const { a, b, world } = quiet();
  world.isPartitioned = true;
  const [before] = a.keysIn("current");
  assert.equal(a.ask({ kind: "RKMP_rekeySA", session: "r" })?.ok, true);
  a.crash();
  a.start();
  world.isPartitioned = false;
  const isRolled = (): boolean => {
    const [own] = a.keysIn("current");
    return (
      own !== undefined &&
      own.fingerprint !== before?.fingerprint &&
      own.fingerprint === b.keysIn("current")[0]?.fingerprint
    );
  };
  assert.ok(world.runUntil(isRolled, 600));
  assert.equal(a.disk.facts.has("request:r"), false);
  const [rolled] = a.keysIn("current");
  world.run(1200);
  assert.equal(a.keysIn("current")[0]?.fingerprint, rolled?.fingerprint, "once");
});

test("a store that does not answer: an alarm and an error after 30 s, and it goes on when the answer comes", () => {
  const { a, world } = quiet();
  world.diskMilliseconds = 100_000;
  a.command({ kind: "freeze", session: "r", seconds: 600 });
  world.run(29);
  assert.equal(a.lastReply(), undefined);
  world.run(2);
  const reply = a.lastReply();
  assert.equal(reply?.ok === false && reply.code, "notStored");
  assert.ok(a.events.some(({ name, severity }) => name === "storeFailed" && severity === "alarm"));
  const meanwhile = a.command({ kind: "thaw", session: "r" });
  assert.equal(meanwhile?.ok === false && meanwhile.code, "notStored", "at once");
  a.command({ kind: "freeze", session: "r", seconds: 600 });
  world.diskMilliseconds = 3;
  assert.deepEqual(a.frozen, []);
  world.run(100);
  assert.ok(a.eventNames().includes("storeRecovered"));
  assert.ok(a.disk.facts.has("freeze:r"));
  world.run(1);
  assert.equal(a.frozen.length, 1);
  world.diskMilliseconds = 3;
  assert.ok(
    world.runUntil(() => !a.disk.facts.has("freeze:r"), 1200),
    "it thaws in time",
  );
});

test("a revocation by a driver that does not answer: an error, and it is tried again until it is done", () => {
  const { a, world } = quiet();
  a.daemon.latencyMilliseconds = 10_000_000;
  a.command({ kind: "revoke", session: "r", reason: "stolen" });
  world.run(125);
  const reply = a.lastReply();
  assert.equal(reply?.ok === false && reply.code, "driverFailed");
  assert.match(reply?.text ?? "", /no answer for 120 s; it is tried again/);
  a.daemon.latencyMilliseconds = 20;
  assert.ok(world.runUntil(() => a.eventNames().includes("RP_revokeSA"), 300));
  assert.equal(a.replies.get(a.replies.size)?.ok, false, "answered once");
});
