import assert from "node:assert/strict";
import test from "node:test";
import { agree, assertNoViolations, keyed, makePair, type Pair, rolled } from "./harness/pair.ts";

function appliesOf({ a }: Pair): number {
  return a.effects.filter((kind) => kind === "apply").length;
}

test("an unmanaged session keeps its key over restarts; nothing is negotiated, applied or answered for it", () => {
  const pair = makePair({ engine: "real" });
  keyed(pair);
  pair.world.run(120);
  const [key] = pair.a.keysIn("current");
  assert.equal(pair.a.ask({ kind: "unmanage", session: "r" })?.ok, true);
  const applies = appliesOf(pair);
  pair.a.crash();
  pair.a.start();
  // r2 --- REKEY_SA of a new MKT ---> r1, which keys that session no more
  assert.equal(pair.b.ask({ kind: "RKMP_rekeySA", session: "r" })?.ok, true);
  pair.world.run(3600);
  assert.equal(appliesOf(pair), applies);
  assert.deepEqual(
    pair.a.keysIn("current").map(({ fingerprint }) => fingerprint),
    [key?.fingerprint],
  );
  assert.ok(agree(pair), "both ends go on with the key that they had");
  assert.equal(pair.a.rollover().step, "unmanaged");
  assert.equal(pair.a.rollover().nextCommand, "karp manage r");
  assert.match(pair.a.session().safety, /^left to people since 20/);
  const refused = pair.a.ask({ kind: "RKMP_rekeySA", session: "r" });
  assert.equal(refused?.ok === false && refused.code, "unmanaged");
  assertNoViolations(pair);
});

test("managed again: the driver is told anew, and keys roll, with the session up", () => {
  const pair = makePair({ engine: "real", rollover: { drainSeconds: 5, keepOldSeconds: 10 } });
  keyed(pair);
  pair.world.run(120);
  pair.a.ask({ kind: "unmanage", session: "r" });
  pair.world.run(600);
  const applies = appliesOf(pair);
  assert.equal(pair.a.ask({ kind: "manage", session: "r" })?.ok, true);
  pair.world.run(60);
  assert.ok(appliesOf(pair) > applies, "whatever people made of the keys meanwhile, the driver is told what is ours");
  rolled(pair, pair.a);
  rolled(pair, pair.b);
  pair.a.crash();
  pair.a.start();
  pair.world.run(60);
  assert.notEqual(pair.a.rollover().step, "unmanaged");
  assert.deepEqual(pair.a.ask({ kind: "manage", session: "r" }), { ok: true, text: "karp manages session r already" });
  assertNoViolations(pair);
});

test("unmanaged in the middle of a rollover: both keys stay, and the peer's segments are accepted", () => {
  const pair = makePair({ engine: "real" });
  keyed(pair);
  pair.world.run(120);
  pair.b.ask({ kind: "RKMP_rekeySA", session: "r" });
  assert.ok(pair.world.runUntil(() => pair.a.keysIn("held", "installed", "preferred").length > 0, 60));
  pair.a.ask({ kind: "unmanage", session: "r" });
  pair.world.run(600);
  assertNoViolations(pair);
  pair.a.ask({ kind: "manage", session: "r" });
  assert.ok(pair.world.runUntil(() => agree(pair) && pair.a.keysIn("held", "installed").length === 0, 600));
  assertNoViolations(pair);
});

test("while the driver writes, nothing is left to people: what it writes would come after them", () => {
  const pair = makePair();
  keyed(pair);
  pair.world.run(120);
  pair.a.daemon.latencyMilliseconds = 5000;
  const applies = appliesOf(pair);
  pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
  assert.ok(pair.world.runUntil(() => appliesOf(pair) > applies, 60));
  const busy = pair.a.command({ kind: "unmanage", session: "r" });
  assert.equal(busy?.ok === false && busy.code, "busy");
  assert.ok(pair.world.runUntil(() => pair.a.ask({ kind: "unmanage", session: "r" }, 1)?.ok === true, 120));
  assertNoViolations(pair);
});

test("a session that nobody left to people, or that is not there, is not managed by saying so", () => {
  const pair = makePair();
  keyed(pair);
  const reply = pair.a.ask({ kind: "manage", session: "nobody" });
  assert.equal(reply?.ok === false && reply.code, "noSuchSession");
});

test("drift that the driver reports is said once and applied away", () => {
  const pair = makePair();
  keyed(pair);
  pair.world.run(120);
  const applies = appliesOf(pair);
  const observe = pair.a.daemon.observe.bind(pair.a.daemon);
  let drift: string | undefined = "r.conf was changed by somebody";
  pair.a.daemon.observe = () => {
    const outcome = observe();
    if (outcome.kind !== "observed" || drift === undefined) return outcome;
    return { ...outcome, observation: { ...outcome.observation, drift } };
  };
  const apply = pair.a.daemon.apply.bind(pair.a.daemon);
  pair.a.daemon.apply = (...words) => {
    drift = undefined;
    return apply(...words);
  };
  pair.world.run(120);
  assert.equal(appliesOf(pair), applies + 1);
  const said = pair.a.events.filter(({ name }) => name === "driverDrifted");
  assert.deepEqual(
    said.map(({ severity, text }) => [severity, text.replace(/driver \S+: /, "")]),
    [["warning", "r.conf was changed by somebody"]],
  );
  assertNoViolations(pair);
});
