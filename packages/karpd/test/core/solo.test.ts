/** Solo mode: a neighbour without karp gets a chain of dated keys. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { UnixMilliseconds } from "@karp/ikev2";
import { datesFrom, renewalAt } from "../../src/core/gatekeeper/solo/dates.ts";
import type { KeyView } from "../../src/core/views.ts";
import { handout, makeSolo, Neighbour, period } from "./harness/neighbour.ts";
import { agree, assertNoViolations, configurationOf, type Pair } from "./harness/pair.ts";

const alive = ({ a }: Pair): readonly KeyView[] =>
  a.keys().filter(({ createdBy, state }) => createdBy === "solo" && state !== "removed");
const current = ({ a }: Pair): KeyView | undefined => a.keysIn("current")[0];
const alarms = ({ a }: Pair, name: string): readonly string[] =>
  a.events.filter((event) => event.name === name && event.severity === "alarm").map(({ text }) => text);

/** A key is tried alone, as nobody can ask: that costs no segment. */
function assertNothingDropped({ a, b, tcp }: Pair): void {
  assert.deepEqual([...tcp.drops, ...a.daemon.faults, ...b.daemon.faults].slice(0, 5), []);
}

test("the chain is made at once, stored before it is shown, and dated without a gap", () => {
  const pair = makeSolo();
  pair.world.run(60);
  assert.equal(pair.a.disk.rows.size, 4);
  const given = handout(pair);
  assert.equal(given.chain, 1);
  assert.deepEqual(
    given.keys.map(({ sendId, recvId }) => [sendId, recvId]),
    [1, 2, 3, 4].map((id) => [id, id]),
  );
  for (const [place, key] of given.keys.entries()) {
    const before = given.keys[place - 1];
    assert.equal(key.sendUntil - key.sendFrom, period * 1000);
    assert.equal(key.sendFrom % 60_000, 0, "whole minutes");
    if (before !== undefined) {
      assert.equal(key.sendFrom, before.sendUntil);
      assert.ok(key.acceptFrom < key.sendFrom && key.sendFrom < before.acceptUntil, "both are accepted at the switch");
    }
    const row = [...pair.a.disk.rows.values()].find(({ sendId }) => sendId === key.sendId);
    assert.deepEqual(
      [row?.sendLifetimeStart, row?.sendLifetimeEnd, row?.acceptLifetimeStart, row?.acceptLifetimeEnd],
      [key.sendFrom, key.sendUntil, key.acceptFrom, key.acceptUntil],
      "what was given is on disk (RFC 7210 section 2)",
    );
    const text = key.masterKey.expose((octets) => String.fromCharCode(...octets));
    assert.match(text, /^[a-km-np-z][a-km-np-z2-9]{27}$/);
  }
  assert.equal(new Set(given.keys.map(({ masterKey }) => masterKey.expose((octets) => octets.join()))).size, 4);
});

test("a neighbour that keeps to the dates: every switch is seen, each old key goes after it, nothing is dropped", () => {
  const pair = makeSolo({ mode: "required" });
  pair.world.run(10);
  const neighbour = new Neighbour(pair, handout(pair), { lateSeconds: 20 });
  assert.ok(pair.world.runUntil(() => current(pair)?.recvId === 1, 120));
  const { restarts } = pair.tcp;
  for (const keyId of [2, 3, 4]) {
    assert.ok(
      pair.world.runUntil(() => current(pair)?.recvId === keyId, 1.1 * period),
      `no switch to ${keyId}`,
    );
    pair.world.run(period / 2);
    assert.deepEqual(
      alive(pair).map(({ recvId }) => recvId),
      [2, 3, 4].slice(keyId - 2),
      "the old one is gone",
    );
  }
  assert.ok(neighbour);
  assert.equal(pair.tcp.restarts, restarts, "no reset");
  assert.deepEqual(alarms(pair, "neighbourLate"), []);
  assertNoViolations(pair);
});

test("a neighbour that is late: the old key stays, an alarm says so once, and it goes on when it switches", () => {
  const pair = makeSolo({ mode: "required" });
  pair.world.run(10);
  const neighbour = new Neighbour(pair, handout(pair), { lateSeconds: 0.2 * period });
  assert.ok(pair.world.runUntil(() => current(pair)?.recvId === 1, 120));
  pair.world.run(1.13 * period);
  assert.equal(current(pair)?.recvId, 1);
  assert.equal(alarms(pair, "neighbourLate").length, 1);
  assert.match(alarms(pair, "neighbourLate")[0] ?? "", /has not switched to key [0-9a-f]{16} \(KeyID 2\), due since/);
  assert.match(pair.a.rollover().waitingFor?.reason ?? "", /has not switched to key/);
  assert.equal(pair.a.session().safe, true);
  assert.ok(neighbour);
  assert.ok(pair.world.runUntil(() => current(pair)?.recvId === 2, 0.3 * period));
  assertNothingDropped(pair);
});

test("a neighbour that never switches: the old key stays past all dates, and nothing is dropped", () => {
  const pair = makeSolo({ mode: "required" });
  pair.world.run(10);
  const neighbour = new Neighbour(pair, handout(pair), { keys: 1 });
  assert.ok(pair.world.runUntil(() => current(pair)?.recvId === 1, 120));
  pair.world.run(6 * period);
  assert.ok(neighbour);
  assert.equal(current(pair)?.recvId, 1);
  assert.equal(alarms(pair, "neighbourLate").length, 3, "one for each key");
  assert.equal(alarms(pair, "hardExpired").length, 1);
  // Also when the session has to come up anew meanwhile
  pair.tcp.reset();
  assert.ok(pair.world.runUntil(() => pair.tcp.isUp, 600));
  assert.deepEqual(
    pair.tcp.drops.filter((drop) => drop.includes("segment")),
    [],
  );
});

test("nobody has the keys yet: mode opportunistic leaves the session as it is, and the dates wait", () => {
  const pair = makeSolo({ mode: "opportunistic" });
  pair.world.run(3 * period);
  assert.equal(pair.a.daemon.keys.size, 0);
  assert.equal(pair.a.rollover().nextCommand, "karp handout r");
  const given = handout(pair);
  const since = (pair.world.now().wall - (given.keys[0]?.sendFrom ?? 0)) / 1000;
  assert.ok(since >= 0 && since <= 120, `the first date is ${since} s ago`);
  new Neighbour(pair, given);
  assert.ok(pair.world.runUntil(() => current(pair)?.recvId === 1, 300));
});

test("given once; again is said and noted; others get nothing", () => {
  const pair = makeSolo();
  pair.world.run(10);
  const first = handout(pair);
  const refused = pair.a.ask({ kind: "handout", session: "r", again: false, caller: { uid: 0, gid: 0, pid: 7 } });
  assert.equal(refused?.ok === false && refused.code, "handedOut");
  const again = handout(pair, true);
  assert.deepEqual(
    again.keys.map((key) => [key.sendId, key.sendFrom]),
    first.keys.map((key) => [key.sendId, key.sendFrom]),
  );
  const stranger = pair.a.ask({ kind: "handout", session: "r", again: true, caller: { uid: 1000, gid: 1, pid: 8 } });
  assert.equal(stranger?.ok === false && stranger.code, "notEntitled");
  const audited = pair.a.events.filter(({ name }) => name === "keysHandedOut");
  assert.deepEqual(
    audited.map(({ data, text }) => [data["uid"], /once more/.test(text)]),
    [
      [0, false],
      [0, true],
    ],
  );
  const secrets = first.keys.map(({ masterKey }) => masterKey.expose((octets) => String.fromCharCode(...octets)));
  for (const { text } of pair.a.events) for (const secret of secrets) assert.ok(!text.includes(secret));
});

test("before the end the next keys are asked for; they go on without a gap and with other KeyIDs", () => {
  const pair = makeSolo({ mode: "required" });
  pair.world.run(10);
  const first = handout(pair);
  const neighbour = new Neighbour(pair, first);
  pair.world.run(2.9 * period);
  assert.deepEqual(alarms(pair, "handoutDue"), []);
  pair.world.run(0.2 * period);
  assert.equal(alarms(pair, "handoutDue").length, 1);
  assert.equal(pair.a.rollover().nextCommand, "karp handout r");
  const second = handout(pair);
  assert.equal(second.chain, 2);
  neighbour.give(second);
  const added = second.keys.filter(({ sendId }) => !first.keys.some((key) => key.sendId === sendId));
  assert.deepEqual(
    added.map(({ sendId }) => sendId),
    [5, 6, 7, 8],
  );
  assert.equal(added[0]?.sendFrom, first.keys.at(-1)?.sendUntil);
  pair.world.run(0.5 * period);
  assert.equal(alarms(pair, "handoutDue").length, 1, "no more");
  for (const keyId of [5, 6, 7, 8]) {
    assert.ok(
      pair.world.runUntil(() => current(pair)?.recvId === keyId, 1.5 * period),
      `no switch to ${keyId}`,
    );
  }
  assertNoViolations(pair);
});

test("a crash between any two effects: the same keys and dates, and the switch goes on", () => {
  for (let crashAt = 1; crashAt <= 25; crashAt += 3) {
    const pair = makeSolo({ mode: "required", seed: crashAt, isStopped: true });
    pair.a.crashAt = crashAt;
    pair.world.run(10);
    let given = pair.a.ask({ kind: "handout", session: "r", again: false, caller: { uid: 0, gid: 0, pid: 1 } });
    pair.world.run(10);
    if (given?.ok !== true)
      given = pair.a.ask({ kind: "handout", session: "r", again: true, caller: { uid: 0, gid: 0, pid: 1 } });
    assert.ok(given?.ok === true && given.handout !== undefined, `${crashAt}: ${given?.text}`);
    new Neighbour(pair, given.handout);
    assert.ok(
      pair.world.runUntil(() => current(pair)?.recvId === given.handout?.keys[0]?.sendId, 300),
      `${crashAt}`,
    );
    const second = given.handout.keys[1];
    assert.ok(
      pair.world.runUntil(() => current(pair)?.recvId === second?.sendId, 1.1 * period),
      `${crashAt}: no switch`,
    );
    assert.equal(alive(pair).length >= 3, true);
    assertNoViolations(pair);
  }
});

test("a clock that jumps forward a year and back: the key in use stays, and no key is lost", () => {
  const pair = makeSolo({ mode: "required" });
  pair.world.run(10);
  const neighbour = new Neighbour(pair, handout(pair));
  assert.ok(pair.world.runUntil(() => current(pair)?.recvId === 1, 120));
  const year = 365 * 86_400;
  pair.world.wallOffset += year * 1000;
  neighbour.lateSeconds += year;
  pair.world.run(0.7 * period);
  assert.equal(current(pair)?.recvId, 1);
  assert.equal(alive(pair).length, 4);
  pair.a.crash();
  pair.a.start();
  pair.world.run(60);
  pair.world.wallOffset -= year * 1000;
  neighbour.lateSeconds -= year;
  pair.world.run(600);
  assert.equal(current(pair)?.recvId, 1);
  assert.equal(pair.a.session().safe, true);
  assert.ok(
    pair.world.runUntil(() => current(pair)?.recvId === 2, 0.5 * period),
    "it goes on",
  );
  assert.equal(alive(pair).length, 4, "nothing was removed for a date");
  assertNothingDropped(pair);
});

test("frozen: the switch waits for the thaw; revoked: all keys end, and rekey makes another chain", () => {
  const pair = makeSolo({ mode: "required" });
  pair.world.run(10);
  const neighbour = new Neighbour(pair, handout(pair), { lateSeconds: period });
  assert.ok(pair.world.runUntil(() => current(pair)?.recvId === 1, 120));
  pair.world.run(0.9 * period);
  pair.a.command({ kind: "freeze", session: "r", seconds: 2 * period });
  pair.world.run(0.5 * period);
  assert.equal(pair.a.keysIn("preferred").length, 0, "not even tried");
  pair.a.command({ kind: "thaw", session: "r" });
  neighbour.lateSeconds = 0;
  assert.ok(pair.world.runUntil(() => current(pair)?.recvId === 2, 300));
  assert.equal(pair.a.ask({ kind: "RKMP_rekeySA", session: "r" })?.ok, false, "dates do not move");
  assert.equal(pair.a.ask({ kind: "revoke", session: "r", reason: "stolen" })?.ok, true);
  assert.deepEqual(alive(pair), []);
  pair.world.run(600);
  assert.deepEqual(alive(pair), [], "no new chain by itself");
  const none = pair.a.ask({ kind: "handout", session: "r", again: true, caller: { uid: 0, gid: 0, pid: 1 } });
  assert.equal(none?.ok === false && none.code, "busy");
  assert.equal(pair.a.ask({ kind: "RKMP_rekeySA", session: "r" })?.ok, true);
  const next = handout(pair);
  assert.equal(next.chain, 2);
  assert.ok(next.keys.every(({ sendId }) => sendId > 4));
});

test("the neighbour gets karp: the same session moves to IKEv2 without a reset, and back to a chain", () => {
  const pair = makeSolo({ mode: "required" });
  pair.world.run(10);
  const alone = pair.a.parts.configuration;
  const [first] = handout(pair).keys;
  assert.ok(first);
  const { sendId, recvId, algorithm, coversTcpOptions, masterKey } = first;
  // b has a karp from now on; a person gives it the key that it uses by hand
  const known = { uid: 0, gid: 0, pid: 1 };
  const row = { session: "r", sendId: recvId, recvId: sendId, algorithm, coversTcpOptions, masterKey };
  pair.world.isPartitioned = true;
  pair.b.parts.configuration = configurationOf("b", { mode: "opportunistic" });
  pair.b.start();
  const inserted = pair.b.ask({ kind: "Keytable_insertSA", row, caller: known });
  assert.equal(inserted?.ok, true, inserted?.text);
  assert.ok(
    pair.world.runUntil(() => current(pair)?.recvId === recvId && pair.b.keysIn("current").length === 1, 200),
    JSON.stringify([pair.a.rollover(), pair.b.rollover()], null, 1),
  );
  const { restarts } = pair.tcp;
  pair.world.isPartitioned = false;
  pair.a.input({ kind: "reconfigure", configuration: configurationOf("a") });
  assert.ok(
    pair.world.runUntil(() => agree(pair) && current(pair)?.createdBy === "ike", 400),
    "keyed by IKEv2",
  );
  const ids = pair.a.keysIn("current").map((key) => key.sendId);
  assert.ok(!ids.includes(sendId), "no KeyID of the chain");
  assert.ok(
    pair.world.runUntil(() => alive(pair).length === 0, 2 * period),
    "the chain goes, used or not",
  );
  assert.equal(pair.tcp.restarts, restarts);
  // And back: the key that IKEv2 made serves until the neighbour has switched to the first of a new chain
  pair.b.crash();
  pair.a.input({ kind: "reconfigure", configuration: alone });
  pair.world.run(60);
  const next = handout(pair);
  assert.ok(next.keys.every((key) => !ids.includes(key.sendId)));
  const held = [...pair.b.daemon.keys.values()];
  assert.equal(current(pair)?.createdBy, "ike");
  assert.ok(held.length > 0 && (next.keys[0]?.sendFrom ?? 0) > pair.world.now().wall, "time to configure it");
  assertNoViolations(pair);
});

test("the next chain is asked for 30 days before the end; a key is accepted a week before and after", () => {
  const end = Date.UTC(2027, 0, 1) as UnixMilliseconds;
  assert.equal(renewalAt(end, 45 * 86_400), Date.UTC(2026, 11, 2));
  assert.equal(renewalAt(end, 86_400), Date.UTC(2026, 11, 31));
  const { acceptFrom, acceptUntil } = datesFrom(end, 45 * 86_400);
  assert.deepEqual([acceptFrom, acceptUntil], [Date.UTC(2026, 11, 25), Date.UTC(2027, 1, 22)]);
});

test("a routing daemon that does not count by key: what the neighbour asks for counts, and the old key stays till its end", () => {
  const pair = makeSolo({ mode: "required" });
  pair.a.daemon.countsKeys = false;
  pair.world.run(10);
  new Neighbour(pair, handout(pair), { lateSeconds: 200 });
  assert.ok(pair.world.runUntil(() => current(pair)?.recvId === 1, 300));
  for (const keyId of [2, 3]) {
    assert.ok(
      pair.world.runUntil(() => current(pair)?.recvId === keyId, 1.2 * period),
      `no switch to ${keyId}`,
    );
    const old = alive(pair).find(({ recvId }) => recvId === keyId - 1);
    const end = Date.parse(old?.hardExpiresAt ?? "");
    pair.world.run((end - pair.world.now().wall) / 1000 - 60);
    assert.ok(
      alive(pair).some(({ recvId }) => recvId === keyId - 1),
      "kept to the end of its dates",
    );
    assert.ok(
      pair.world.runUntil(() => !alive(pair).some(({ recvId }) => recvId === keyId - 1), period),
      "then gone",
    );
  }
  assertNoViolations(pair);
});
