import assert from "node:assert/strict";
import test from "node:test";
import { agree, assertNoViolations, configurationOf, keyed, makePair, rolled } from "./harness/pair.ts";

test("mode required: a random key that nobody has is there until the first MKT (fails closed)", () => {
  const pair = makePair();
  pair.world.isPartitioned = true;
  pair.world.run(60);
  assert.equal(pair.a.daemon.keys.size, 1);
  assert.equal(pair.tcp.isUp, false);
  assert.equal(pair.a.session().safe, false);
  pair.world.isPartitioned = false;
  keyed(pair, 900);
  pair.world.run(100);
  assert.equal([...pair.a.daemon.keys.values()].length, 1);
  assertNoViolations(pair);
});

test("mode observe: negotiates, rolls, says observing, and never applies; its peer stays unkeyed", () => {
  const pair = makePair({ mode: "opportunistic", modeB: "observe" });
  pair.world.run(3 * 3600);
  assert.equal(pair.b.daemon.applied, 0);
  assert.equal(pair.a.daemon.keys.size, 0);
  assert.ok(pair.tcp.isUp && !pair.tcp.isSigned);
  const [key] = pair.a.keysIn("held");
  assert.equal(key?.peerState, "observing");
  assert.ok(pair.b.keys().filter(({ state }) => state === "held").length <= 2, "it rolls");
});

test("observe, then opportunistic on both: the first key goes in when both ends can", () => {
  const pair = makePair({ mode: "observe" });
  pair.world.run(600);
  assert.equal(pair.a.daemon.applied + pair.b.daemon.applied, 0);
  pair.a.input({ kind: "reconfigure", configuration: configurationOf("a", { mode: "opportunistic" }) });
  pair.world.run(300);
  assert.equal(pair.a.daemon.keys.size, 0, "b only observes");
  pair.b.input({ kind: "reconfigure", configuration: configurationOf("b", { mode: "opportunistic" }) });
  keyed(pair, 300);
  assert.ok(pair.tcp.isSigned);
  rolled(pair, pair.a);
  assertNoViolations(pair);
});

test("mode opportunistic is sticky: once keyed, a session without keys is closed, also after a restart", () => {
  const pair = makePair({ mode: "opportunistic" });
  keyed(pair);
  pair.a.ask({ kind: "revoke", session: "r", reason: "" });
  pair.world.run(60);
  assert.equal(pair.tcp.isUp, false);
  assert.equal(pair.a.daemon.keys.size, 1, "a placeholder keeps it closed");
  pair.a.crash();
  pair.a.daemon.loseKeys();
  pair.a.start();
  pair.world.run(60);
  assert.equal(pair.a.daemon.keys.size, 1);
  assert.equal(pair.tcp.isUp, false);
});

test("hard expiry without successor: keep and alarm", () => {
  const pair = makePair();
  keyed(pair);
  pair.b.crash();
  pair.world.run(5 * 3600);
  assert.ok(pair.a.events.some(({ name, severity }) => name === "hardExpired" && severity === "alarm"));
  assert.ok(pair.tcp.isUp);
  assertNoViolations(pair);
});

test("hard expiry without successor: fail closed, if the association says so", () => {
  const pair = makePair({ session: { onExpiry: "fail-closed" } });
  keyed(pair);
  pair.b.crash();
  pair.world.run(5 * 3600);
  assert.ok(pair.a.eventNames().includes("hardExpired"));
  assert.equal(pair.tcp.isUp, false);
  assert.equal(pair.a.keysIn("current", "preferred").length, 0);
  assert.equal(pair.a.daemon.keys.size, 1, "a placeholder keeps it closed");
  pair.b.start();
  assert.ok(pair.world.runUntil(() => agree(pair), 3600));
});
