import assert from "node:assert/strict";
import test from "node:test";
import { type InformItem, KeyState, mktSelectors, NotifyType } from "@karp/ikev2";
import {
  agree,
  assertNoViolations,
  configurationOf,
  keyed,
  makePair,
  type Pair,
  peerOf,
  rolled,
} from "./harness/pair.ts";

/** A is authenticated, and hostile: its engine says whatever it is told to, as fast as answers come. */
function tell({ a, world }: Pair, items: readonly InformItem[], seconds = 0.05): void {
  a.misuse({ kind: "inform", requestId: 1_000_000, peer: "b", items, connect: true });
  world.run(seconds);
}

function quiet(): Pair {
  const pair = makePair();
  keyed(pair);
  pair.world.run(100);
  return pair;
}

test("a flood of KEY_STATEs that differ costs a bounded number of writes, events and calls of the driver", () => {
  const pair = quiet();
  pair.b.daemon.latencyMilliseconds = 5;
  pair.a.ask({ kind: "RKMP_rekeySA", session: "r" });
  assert.ok(pair.world.runUntil(() => pair.b.keysIn("installed").length === 1, 10));
  const sendId = pair.b.keysIn("installed")[0]?.recvId ?? 0;
  const { writes } = pair.b.disk;
  const { applied } = pair.b.daemon;
  const events = pair.b.events.length;
  for (let count = 0; count < 1200; count++) {
    const state = count % 2 === 0 ? KeyState.ready : KeyState.withdrawn;
    tell(pair, [{ kind: "keyState", sendId, state, reason: `${count}` }]);
  }
  assert.ok(pair.b.disk.writes - writes <= 120, `${pair.b.disk.writes - writes} writes in a minute`);
  assert.ok(
    pair.b.daemon.applied - applied <= 60,
    `${pair.b.daemon.applied - applied} calls of the driver in a minute`,
  );
  assert.ok(pair.b.events.length - events <= 200, `${pair.b.events.length - events} events in a minute`);
});

test("of a peer that changes its mind too often the last word counts, a little later", () => {
  const pair = quiet();
  const [current] = pair.b.keysIn("current");
  assert.ok(current !== undefined);
  const { recvId: sendId } = current;
  for (let count = 0; count < 100; count++) {
    const state = count % 2 === 0 ? KeyState.withdrawn : KeyState.inUse;
    tell(pair, [{ kind: "keyState", sendId, state, reason: "" }]);
  }
  // It said so last, and that it is taken back was never kept waiting.
  tell(pair, [{ kind: "keyState", sendId, state: KeyState.withdrawn, reason: "last" }]);
  tell(pair, [{ kind: "keyState", sendId, state: KeyState.inUse, reason: "" }]);
  assert.equal(pair.b.keysIn("current")[0]?.peerState, "withdrawn");
  pair.world.run(61);
  assert.equal(pair.b.keysIn("current")[0]?.peerState, "in-use");
  rolled(pair, pair.b, 300);
  assertNoViolations(pair);
});

test("a freeze of 2^32-1 s, said for ever, is believed for 90 days and is one event; the hard lifetime still alarms", () => {
  const pair = quiet();
  for (let count = 0; count < 500; count++) tell(pair, [{ kind: "freeze", seconds: 2 ** 32 - 1 }]);
  assert.equal(pair.b.events.filter(({ name }) => name === "frozen").length, 1);
  const until = Date.parse(pair.b.rollover().peerFrozenUntil ?? "");
  assert.ok(until - pair.world.now().wall <= 90 * 86_400_000);
  pair.a.crash();
  pair.world.run(4 * 3600);
  assert.ok(pair.b.events.some(({ name, severity }) => name === "hardExpired" && severity === "alarm"));
  assert.ok(pair.tcp.isUp);
  assertNoViolations(pair);
});

test("D of KeyIDs that name no MKT of this peer changes nothing, and is answered with nothing", () => {
  const pair = quiet();
  const before = JSON.stringify(pair.b.keys());
  const { writes } = pair.b.disk;
  const [current] = pair.b.keysIn("current");
  const foreign = Array.from({ length: 256 }, (_, id) => id).filter((id) => id !== current?.recvId);
  assert.deepEqual(pair.b.policy?.answerDelete("a", foreign), []);
  tell(pair, [{ kind: "deleteMkts", sendIds: foreign }], 5);
  assert.equal(JSON.stringify(pair.b.keys()), before);
  assert.equal(pair.b.disk.writes, writes);
});

test("D of the key in use, again and again, is hardly any change; the key stays until a successor is in use", () => {
  const pair = quiet();
  const [current] = pair.b.keysIn("current");
  const isTold = (): number => pair.b.events.filter(({ text }) => text.includes("will not prefer")).length;
  for (let count = 0; count < 50; count++) tell(pair, [{ kind: "deleteMkts", sendIds: [current?.recvId ?? 0] }], 0.01);
  // A's own gatekeeper says in between that the key is in use there.
  assert.ok(isTold() <= 2, `${isTold()} times`);
  assert.ok(pair.world.runUntil(() => agree(pair) && pair.b.rollover().completed === 1, 300));
  assertNoViolations(pair);
});

test("D taken back by in-use and said again, at full speed, costs a bounded number of writes", () => {
  const pair = quiet();
  const { writes } = pair.b.disk;
  const sendId = pair.b.keysIn("current")[0]?.recvId ?? 0;
  for (let count = 0; count < 500; count++) {
    tell(pair, [{ kind: "deleteMkts", sendIds: [sendId] }]);
    tell(pair, [{ kind: "keyState", sendId, state: KeyState.inUse, reason: "" }]);
  }
  assert.ok(pair.b.disk.writes - writes <= 150, `${pair.b.disk.writes - writes} writes in a minute`);
  pair.world.run(600);
  rolled(pair, pair.b, 300);
  assertNoViolations(pair);
});

/** Asks b for a plain MKT, and says nothing of it afterwards. */
function create(pair: Pair, sendId: number): void {
  const { localSelectors, remoteSelectors } = mktSelectors(Uint8Array.of(10, 0, 0, 1), Uint8Array.of(10, 0, 0, 2), 179);
  const terms = { integrity: [8], tcpOptions: [1], keyExchange: [], localSelectors, remoteSelectors };
  const requestId = 2_000_000 + sendId;
  pair.a.misuse({ kind: "createMkt", requestId, peer: "b", sendId, taken: new Uint8Array(32), terms });
  pair.world.run(0.3);
}

test("mass creation: at most 8 live MKTs of one association, with an alarm; orphans go after 600 s", () => {
  const pair = quiet();
  for (let sendId = 100; sendId < 160; sendId++) create(pair, sendId);
  const live = pair.b.keys().filter(({ state }) => state !== "removed");
  assert.equal(live.length, 8);
  assert.match(
    pair.b.events.find(({ name }) => name === "keyIdsExhausted")?.text ?? "",
    /8 keys of this session are alive already/,
  );
  assert.equal(pair.b.events.filter(({ name }) => name === "keyIdsExhausted").length, 1);
  assert.ok(agree(pair) && pair.tcp.isUp);
  pair.world.run(700);
  assert.equal(pair.b.keysIn("held", "installed", "preferred").length, 0);
  pair.world.run(900);
  assert.ok(agree(pair));
  assertNoViolations(pair);
});

test("creation and deletion in turns: KeyIDs rest, run out with an alarm, and come back; the session stays up", () => {
  const pair = quiet();
  for (let sendId = 60; sendId < 250; sendId++) {
    create(pair, sendId);
    tell(pair, [{ kind: "deleteMkts", sendIds: [sendId] }]);
  }
  assert.ok(pair.b.keys().length <= 256);
  assert.ok(agree(pair) && pair.tcp.isUp);
  pair.world.run(1200);
  assert.ok(pair.b.keys().length <= 3, `${pair.b.keys().length} rows are left`);
  rolled(pair, pair.b, 300);
  assertNoViolations(pair);
});

test("no other identity may rekey, delete or comment on an MKT", () => {
  const pair = quiet();
  const { router, peers, sessions } = configurationOf("b");
  const [session] = sessions;
  assert.ok(session !== undefined);
  const other = { ...session, name: "s", peer: "c", remoteAddress: "10.0.0.3" };
  const configuration = { router, peers: [...peers, peerOf("b", "c")], sessions: [session, other] };
  pair.b.input({ kind: "reconfigure", configuration });
  const rekeys = pair.b.keysIn("current")[0]?.recvId ?? 0;
  const request = { peer: "c", recvId: 200, rekeys, inIkeAuth: false };
  const address = (last: number): Uint8Array => Uint8Array.of(10, 0, 0, last);
  const theirs = { ...request, ...mktSelectors(address(2), address(1), 179) };
  const decisions = [theirs, { ...request, ...mktSelectors(address(2), address(3), 179) }, request].map((asked) =>
    pair.b.policy?.consider(asked, pair.world.now()),
  );
  assert.deepEqual(
    decisions.map((decision) => decision?.kind === "refuse" && decision.notifyType),
    [NotifyType.TS_UNACCEPTABLE, NotifyType.CHILD_SA_NOT_FOUND, NotifyType.CHILD_SA_NOT_FOUND],
  );
  assert.deepEqual(pair.b.policy?.answerDelete("c", [rekeys]), []);
  const before = JSON.stringify(pair.b.keys());
  pair.b.alter = (event) => ("peer" in event && event.kind === "keyState" ? { ...event, peer: "c" } : event);
  tell(pair, [{ kind: "keyState", sendId: rekeys, state: KeyState.failed, reason: "" }], 1);
  assert.equal(JSON.stringify(pair.b.keys()), before);
});
