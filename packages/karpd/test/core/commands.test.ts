import assert from "node:assert/strict";
import test from "node:test";
import { hex, Secret } from "@karp/ikev2";
import { agree, assertNoViolations, keyed, makePair, rolled } from "./harness/pair.ts";

const root = { uid: 0, gid: 0, pid: 1 };
const nobody = { uid: 65_534, gid: 65_534, pid: 2 };

test("freeze: no rollover from either side until it is over; thaw ends it", () => {
  const pair = makePair();
  keyed(pair);
  assert.equal(pair.a.ask({ kind: "freeze", session: "r", seconds: 3 * 3600 })?.ok, true);
  pair.world.run(2 * 3600);
  assert.equal(pair.a.rollover().completed, 0);
  assert.equal(pair.b.rollover().completed, 0);
  assert.equal(pair.a.rollover().nextCommand, "karp thaw r");
  assert.equal(pair.a.command({ kind: "RKMP_rekeySA", session: "r" })?.ok, false);
  pair.a.crash();
  pair.a.start();
  pair.world.run(600);
  assert.equal(pair.a.rollover().completed, 0, "a freeze survives a restart");
  pair.a.command({ kind: "thaw" });
  assert.ok(pair.world.runUntil(() => agree(pair) && pair.a.rollover().completed === 1, 600));
  assertNoViolations(pair);
});

test("Keytable_getSA: the key for the entitled, audited; a refusal with an event for others", () => {
  const pair = makePair();
  keyed(pair);
  const reply = pair.a.command({ kind: "Keytable_getSA", session: "r", caller: root });
  assert.equal(reply?.ok, true);
  assert.equal(reply?.ok === true && reply.key?.masterKey.expose(hex), pair.a.daemon.preferred?.key);
  assert.deepEqual(pair.a.events.at(-1)?.name, "keyRead");
  const refused = pair.a.command({ kind: "Keytable_getSA", session: "r", caller: nobody });
  assert.equal(refused?.ok === false && refused.code, "notEntitled");
  assert.equal(pair.a.events.at(-1)?.severity, "warning");
});

test("Keytable_getSA gives the key that is preferred, also when a newer one was taken back (RFC 7210 section 3)", () => {
  const pair = makePair();
  keyed(pair);
  const [old] = pair.a.keysIn("current");
  pair.excuses.push("b's driver lies");
  pair.b.daemon.lies = true;
  pair.b.daemon.canListKeys = false;
  pair.a.ask({ kind: "RKMP_rekeySA", session: "r" });
  pair.world.run(20);
  pair.tcp.reset();
  pair.world.run(90);
  assert.equal(pair.a.daemon.preferred?.sendId, old?.sendId);
  const reply = pair.a.command({ kind: "Keytable_getSA", session: "r", caller: root });
  assert.equal(reply?.ok === true && reply.adminKeyName, old?.adminKeyName);
});

test("Keytable_getSA gives no key that the peer is not ready for (RFC 7210 section 3, invariant 3)", () => {
  const pair = makePair();
  pair.b.daemon.latencyMilliseconds = 20_000;
  assert.ok(
    pair.world.runUntil(() => pair.a.keysIn("held", "installed").some(({ createdBy }) => createdBy === "ike"), 60),
  );
  const reply = pair.a.command({ kind: "Keytable_getSA", session: "r", caller: root });
  assert.equal(reply?.ok === false && reply.code, "noKey");
  keyed(pair);
});

test("a revoked session takes no key that a person made before somebody asks for new ones", () => {
  const pair = makePair();
  keyed(pair);
  pair.a.ask({ kind: "revoke", session: "r", reason: "stolen" });
  const row = {
    session: "r",
    sendId: 250,
    recvId: 251,
    algorithm: "aes-128-cmac-96",
    coversTcpOptions: true,
    masterKey: new Secret(new Uint8Array(16).fill(7)),
  } as const;
  const refused = pair.a.command({ kind: "Keytable_insertSA", row, caller: root });
  assert.equal(refused?.ok === false && refused.code, "busy");
  pair.a.ask({ kind: "RKMP_generateSA", session: "r" });
  assert.equal(pair.a.ask({ kind: "Keytable_insertSA", row, caller: root })?.ok, true);
});

test("invariant 6: no event, view or reply but Keytable_getSA's carries a key", () => {
  const pair = makePair();
  keyed(pair);
  rolled(pair, pair.a);
  const now = pair.world.now();
  const said = JSON.stringify([pair.a.events, pair.a.core?.views(now), [...pair.a.replies.values()]]);
  for (const row of pair.a.disk.rows.values()) {
    if (row.key !== undefined) assert.ok(!said.includes(row.key.expose(hex)));
  }
});

test("RP_revokeSA: no key is left in use, both rows and driver; the session stays closed until somebody asks", () => {
  const pair = makePair();
  keyed(pair);
  const used = [...pair.a.daemon.keys.values()].map(({ key }) => key);
  pair.a.command({ kind: "revoke", session: "r", reason: "the router was stolen" });
  assert.ok(pair.world.runUntil(() => pair.a.lastReply() !== undefined, 30));
  assert.equal(pair.a.lastReply()?.ok, true);
  assert.ok(pair.a.eventNames().includes("RP_revokeSA"));
  for (const key of used) assert.ok(![...pair.a.daemon.keys.values()].some((other) => other.key === key));
  for (const row of pair.a.disk.rows.values()) assert.ok(row.createdBy === "placeholder" || row.key === undefined);
  pair.world.run(1200);
  assert.equal(
    pair.a.keysIn("current", "held", "installed", "preferred").filter(({ createdBy }) => createdBy === "ike").length,
    0,
  );
  assert.equal(pair.tcp.isUp, false);
  pair.a.crash();
  pair.a.start();
  pair.world.run(600);
  assert.equal(pair.tcp.isUp, false, "also after a restart");
  assert.equal(pair.a.ask({ kind: "RKMP_generateSA", session: "r" })?.ok, true);
  assert.ok(pair.world.runUntil(() => agree(pair) && pair.tcp.isUp, 1200));
});

test("a revocation that the driver cannot do is said, and tried again until it is done", () => {
  const pair = makePair();
  keyed(pair);
  pair.a.daemon.script = [
    { kind: "pending", reason: "x" },
    { kind: "pending", reason: "x" },
  ];
  pair.a.command({ kind: "revoke", session: "r", reason: "test" });
  pair.world.run(60);
  assert.equal(pair.a.lastReply()?.ok, false);
  assert.ok(pair.a.eventNames().includes("RP_revokeSA"));
});

test("Keytable_insertSA and Keytable_delete: overlapping KeyIDs and keys in use are refused (RFC 5925 section 3.1)", () => {
  const pair = makePair();
  keyed(pair);
  const [current] = pair.a.keysIn("current");
  const row = {
    session: "r",
    sendId: 250,
    recvId: 251,
    algorithm: "aes-128-cmac-96",
    coversTcpOptions: true,
    masterKey: new Secret(new Uint8Array(16).fill(7)),
  } as const;
  const overlap = pair.a.command({
    kind: "Keytable_insertSA",
    row: { ...row, sendId: current?.sendId ?? 0 },
    caller: root,
  });
  assert.equal(overlap?.ok === false && overlap.code, "keyIdInUse");
  const short = pair.a.command({
    kind: "Keytable_insertSA",
    row: { ...row, masterKey: new Secret(new Uint8Array(3)) },
    caller: root,
  });
  assert.equal(short?.ok === false && short.code, "badKey");
  assert.equal(pair.a.command({ kind: "Keytable_insertSA", row, caller: root }), undefined, "answered once stored");
  pair.world.run(5);
  const inserted = pair.a.lastReply();
  assert.ok(inserted?.ok === true && inserted.adminKeyName !== undefined);
  pair.world.run(120);
  assert.ok(agree(pair), "a key beside the one in use is not preferred");
  const inUse = pair.a.command({ kind: "Keytable_delete", adminKeyName: current?.adminKeyName ?? "", caller: root });
  assert.equal(inUse?.ok === false && inUse.code, "keyInUse");
  pair.a.command({ kind: "Keytable_delete", adminKeyName: inserted.adminKeyName, caller: root });
  pair.world.run(60);
  assert.equal(pair.a.daemon.keys.has(251), false);
  assertNoViolations(pair);
});

test("Keytable_rekeySA at both ends: a key that people made replaces the one in use, with the session up", () => {
  const pair = makePair();
  keyed(pair);
  const masterKey = (): Secret => new Secret(new Uint8Array(16).fill(9));
  const shared = { session: "r", algorithm: "aes-128-cmac-96", coversTcpOptions: true } as const;
  pair.a.command({
    kind: "Keytable_rekeySA",
    session: "r",
    row: { ...shared, sendId: 240, recvId: 241, masterKey: masterKey() },
    caller: root,
  });
  pair.b.command({
    kind: "Keytable_rekeySA",
    session: "r",
    row: { ...shared, sendId: 241, recvId: 240, masterKey: masterKey() },
    caller: root,
  });
  assert.ok(pair.world.runUntil(() => agree(pair) && pair.a.keysIn("current")[0]?.createdBy === "manual", 300));
  assertNoViolations(pair);
});
