import assert from "node:assert/strict";
import test from "node:test";
import { NotifyType } from "@karp/ikev2";
import type { PeerView } from "../../src/core/views.ts";
import { agree, configurationOf, keyed, makePair, type Pair, peerOf, rolled } from "./harness/pair.ts";
import type { Router } from "./harness/router.ts";

function peerView(router: Router): PeerView {
  const [view] = router.core?.views(router.parts.world.now()).peers ?? [];
  assert.ok(view !== undefined);
  return view;
}

function noise({ a, b }: Pair): readonly string[] {
  return [a, b].flatMap(({ events }) =>
    events.filter(({ severity }) => severity !== "info").map(({ name, text }) => `${name}: ${text}`),
  );
}

for (const mode of ["required", "opportunistic", "observe"] as const) {
  test(`a normal bring-up and normal rollovers log nothing that an operator must look at (mode ${mode})`, () => {
    for (const engine of ["fake", "real"] as const) {
      const pair = makePair({ mode, engine, rollover: { drainSeconds: 5, keepOldSeconds: 10 } });
      pair.world.run(60);
      for (let count = 0; count < 3 && mode !== "observe"; count++) {
        rolled(pair, count % 2 === 0 ? pair.a : pair.b);
        pair.world.run(60);
      }
      pair.world.run(4 * 3600);
      assert.deepEqual(noise(pair), []);
    }
  });
}

test("a key that the peer takes back is a warning", () => {
  const pair = makePair();
  keyed(pair);
  pair.b.daemon.script = Array.from({ length: 9 }, () => ({ kind: "lost", reason: "it was restarted" }) as const);
  pair.b.daemon.loseKeys();
  pair.world.run(90);
  const said = pair.a.events.find(({ name, severity }) => name === "peerKeyState" && severity === "warning");
  assert.match(said?.text ?? "", /^the peer says withdrawn of key [0-9a-f]{16} \(/);
});

test("a freeze is on the session's line at both ends, until when, and gone after a thaw", () => {
  const pair = makePair();
  keyed(pair);
  pair.world.run(100);
  const until = new Date(pair.world.now().wall + 3_600_000).toISOString();
  pair.a.ask({ kind: "freeze", session: "r", seconds: 3600 });
  pair.world.run(5);
  assert.equal(pair.a.rollover().frozenUntil, until);
  assert.equal(pair.a.rollover().peerFrozenUntil, undefined);
  assert.match(pair.a.session().safety, new RegExp(`^protected with .*; rollovers are frozen here until ${until}$`));
  // KMP_FREEZE counts whole seconds from when it is sent.
  const told = Date.parse(pair.b.session().rollover.peerFrozenUntil ?? "") - Date.parse(until);
  assert.ok(Math.abs(told) <= 1100, `${told} ms apart`);
  assert.match(pair.b.session().safety, /; the peer begins none before /);
  assert.match(pair.b.events.findLast(({ name }) => name === "frozen")?.text ?? "", /^a begins no rollover before 20/);
  assert.deepEqual(pair.a.ask({ kind: "thaw", session: "r" }), {
    ok: true,
    text: "rollovers of r may begin again",
  });
  pair.world.run(5);
  for (const router of [pair.a, pair.b]) {
    assert.equal(router.rollover().frozenUntil ?? router.rollover().peerFrozenUntil, undefined);
    assert.doesNotMatch(router.session().safety, /frozen|begins none/);
  }
  assert.equal(pair.b.events.findLast(({ name }) => name === "thawed")?.text, "a may begin rollovers again");
});

test("a rollover that the peer's freeze holds back waits for the peer, not for a clock", () => {
  const pair = makePair();
  keyed(pair);
  pair.a.ask({ kind: "freeze", session: "r", seconds: 3 * 3600 });
  assert.ok(pair.world.runUntil(() => pair.b.rollover().waitingFor?.reason === "the peer has frozen rollovers", 7200));
  assert.equal(pair.b.rollover().waitingFor?.whom, "a");
  assert.deepEqual(noise(pair), [], "somebody wanted it so");
});

test("a freeze of one of two sessions holds back that one alone, at either end, and whoever asks is told", () => {
  const pair = makePair({ isStopped: true });
  for (const { parts } of [pair.a, pair.b]) {
    const [one] = parts.configuration.sessions;
    assert.ok(one);
    const moved = (address: string): string => address.replace("10.0.", "10.1.");
    const two = {
      ...one,
      name: "s",
      localAddress: moved(one.localAddress),
      remoteAddress: moved(one.remoteAddress),
      mode: "observe",
    } as const;
    parts.configuration = { ...parts.configuration, sessions: [one, two] };
  }
  pair.a.start();
  pair.b.start();
  pair.world.run(300);
  pair.a.ask({ kind: "freeze", session: "s", seconds: 7200 });
  pair.world.run(10);
  const [before] = pair.b.keysIn("current");
  pair.b.ask({ kind: "RKMP_rekeySA", session: "r" });
  assert.ok(pair.world.runUntil(() => pair.b.keysIn("current")[0]?.fingerprint !== before?.fingerprint, 120));
  pair.a.ask({ kind: "freeze", session: "r", seconds: 3600 });
  pair.world.run(10);
  assert.deepEqual(pair.a.frozen.slice(-1), [3600], "until the first of the two ends");
  const held = pair.b.ask({ kind: "RKMP_rekeySA", session: "r" });
  assert.match(held?.text ?? "", /^a new key for r is wanted, and waits: the peer has frozen rollovers$/);
});

test("a thaw while the freeze is still on its way is told as well", () => {
  const pair = makePair();
  keyed(pair);
  pair.world.run(100);
  pair.world.latencyMilliseconds = 1000;
  pair.a.ask({ kind: "freeze", session: "r", seconds: 3600 });
  pair.world.run(0.5);
  pair.a.ask({ kind: "thaw", session: "r" });
  pair.world.run(20);
  assert.equal(pair.b.rollover().peerFrozenUntil, undefined);
  assert.deepEqual(pair.a.frozen, [3600, 0]);
});

test("a peer that was restarted hears of a freeze again; one that was restarted tells of its own", () => {
  for (const which of ["a", "b"] as const) {
    const pair = makePair();
    keyed(pair);
    pair.a.ask({ kind: "freeze", session: "r", seconds: 3600 });
    pair.world.run(5);
    pair[which].crash();
    pair.world.run(60);
    pair[which].start();
    pair.world.run(600);
    assert.ok(pair.b.rollover().peerFrozenUntil !== undefined, which);
  }
});

test("a freeze that ended while karp was not running ends for the peer too", () => {
  const pair = makePair();
  keyed(pair);
  pair.a.ask({ kind: "freeze", session: "r", seconds: 600 });
  pair.world.run(5);
  pair.a.crash();
  pair.world.run(700);
  pair.a.start();
  pair.world.run(60);
  assert.equal(pair.a.disk.facts.has("freeze:r"), false);
  assert.ok(pair.a.eventNames().includes("thawed"));
  assert.equal(pair.a.frozen.at(-1), 0);
});

test("the end that refuses shows why; the peer hears AUTHENTICATION_FAILED and no more (RFC 7296 section 2.21.2)", () => {
  const pair = makePair({ engine: "real", isStopped: true });
  const configuration = configurationOf("b");
  pair.b.parts.configuration = { ...configuration, peers: [peerOf("b", "a", "f".repeat(32))] };
  pair.a.start();
  pair.b.start();
  pair.world.run(120);
  for (const router of [pair.a, pair.b]) {
    const { lastFailure } = peerView(router);
    assert.match(lastFailure?.text ?? "", /^refused here: .*AUTH/);
    const reason = (lastFailure?.text ?? "").split("; ")[0]?.replace("refused here: ", "");
    assert.ok(router.events.some(({ name, text }) => name === "peerRejected" && text.includes(reason ?? "?")));
    // Only what a configured peer answered to us is an alarm: anybody can send us a wrong AUTH
    const failed = router.events.filter(({ name }) => name === "mktFailed");
    assert.ok(failed.some(({ severity, text }) => severity === "alarm" && text.includes("AUTHENTICATION_FAILED")));
    assert.ok(router.events.every(({ name, severity }) => name !== "peerRejected" || severity === "warning"));
  }
});

test("an identity that is not configured is shown at the peer with that address", () => {
  const pair = makePair({ engine: "real", isStopped: true });
  const configuration = configurationOf("b");
  const peers = configuration.peers.map((peer) => ({ ...peer, remoteIdentity: peerOf("b", "c").remoteIdentity }));
  pair.b.parts.configuration = { ...configuration, peers };
  pair.b.start();
  pair.a.start();
  pair.world.run(60);
  assert.match(peerView(pair.b).lastFailure?.text ?? "", /refused here: .*a\.example\.net/);
});

test("that a peer did not answer before it was there is not shown once the IKE SA is established", () => {
  for (const seconds of [5, 10, 15, 20, 25, 30, 40, 60]) {
    const pair = makePair({ engine: "real", isStopped: true, mode: "opportunistic" });
    pair.a.start();
    pair.world.run(seconds);
    pair.b.start();
    keyed(pair, 600);
    pair.world.run(120);
    for (const router of [pair.a, pair.b]) {
      assert.equal(peerView(router).ikeSa, "established");
      assert.equal(peerView(router).lastFailure, undefined, `b started ${seconds} s after a`);
    }
  }
});

test("no RecvID is free at the responder: it says so at once, and both ends alarm once", () => {
  const pair = makePair({ engine: "real" });
  keyed(pair);
  pair.world.run(60);
  const { configuration } = pair.b.parts;
  const reservedKeyIds = Array.from({ length: 256 }, (_, id) => id);
  const sessions = configuration.sessions.map((session) => ({ ...session, reservedKeyIds }));
  pair.b.input({ kind: "reconfigure", configuration: { ...configuration, sessions } });
  pair.a.ask({ kind: "RKMP_rekeySA", session: "r" });
  pair.world.run(600);
  const alarms = (router: Router): readonly string[] =>
    router.events.filter(({ severity }) => severity === "alarm").map(({ text }) => text);
  assert.match(alarms(pair.a)[0] ?? "", /no new key: .*NO_ADDITIONAL_SAS/);
  assert.deepEqual(alarms(pair.b), [
    "the peer was refused a new key: no RecvID is free here; keys in place keep working",
  ]);
  assert.ok(agree(pair));
});

test("no KeyID is free for a key of our own: one alarm, though it is tried each minute", () => {
  const pair = makePair();
  keyed(pair);
  const { configuration } = pair.a.parts;
  const reservedKeyIds = Array.from({ length: 256 }, (_, id) => id);
  const sessions = configuration.sessions.map((session) => ({ ...session, reservedKeyIds }));
  pair.a.input({ kind: "reconfigure", configuration: { ...configuration, sessions } });
  pair.a.ask({ kind: "RKMP_rekeySA", session: "r" });
  pair.world.run(600);
  const alarms = pair.a.events.filter(({ name }) => name === "keyIdsExhausted");
  assert.deepEqual(
    alarms.map(({ text }) => text),
    ["no KeyID is free for a new key; keys in place keep working"],
  );
});

test("the responder's NO_ADDITIONAL_SAS is an alarm at the responder too, and one alarm only", () => {
  const pair = makePair();
  keyed(pair);
  const taken = new Uint8Array(32).fill(255);
  for (let count = 0; count < 100; count++) {
    const decision = pair.b.policy?.consider({ peer: "a", recvId: 200, taken, inIkeAuth: false }, pair.world.now());
    assert.equal(decision?.kind === "refuse" && decision.notifyType, NotifyType.NO_ADDITIONAL_SAS);
    pair.world.run(1);
    pair.b.input({ kind: "timeout" });
  }
  const alarms = pair.b.events.filter(({ name }) => name === "keyIdsExhausted");
  assert.deepEqual(
    alarms.map(({ severity, text, session }) => [severity, text, session]),
    [["alarm", "the peer was refused a new key: no KeyID is free at both ends; keys in place keep working", "r"]],
  );
  assert.ok(agree(pair));
});
