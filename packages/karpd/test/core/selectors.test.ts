import assert from "node:assert/strict";
import test from "node:test";
import { type IkeEvent, type MktDecision, mktSelectors, NotifyType, type TrafficSelector } from "@karp/ikev2";
import { sessionMeant } from "../../src/core/gatekeeper/selectors.ts";
import { agree, assertNoViolations, configurationOf, keyed, makePair, type Pair, rolled } from "./harness/pair.ts";

const addressA = Uint8Array.of(10, 0, 0, 1);
const addressB = Uint8Array.of(10, 0, 0, 2);

/** What b decides when a rekeys the key in use with these selectors. */
function decisionOnRekey(
  { b, world }: Pair,
  selectors: {
    readonly localSelectors?: readonly TrafficSelector[];
    readonly remoteSelectors?: readonly TrafficSelector[];
  },
): MktDecision | undefined {
  const rekeys = b.keysIn("current")[0]?.recvId ?? 0;
  return b.policy?.consider({ peer: "a", recvId: 200, rekeys, inIkeAuth: false, ...selectors }, world.now());
}

function ports(address: Uint8Array, ...ranges: readonly (readonly [number, number])[]): readonly TrafficSelector[] {
  return ranges.map(([startPort, endPort]) => ({
    kind: "range",
    ipProtocol: 6,
    startPort,
    endPort,
    startAddress: address,
    endAddress: address,
  }));
}

test("a REKEY_SA whose selectors come out as those of the MKT that it replaces is accepted (RFC 7296 section 2.9.2)", () => {
  const pair = makePair();
  keyed(pair);
  const equal = mktSelectors(addressB, addressA, 179);
  assert.equal(decisionOnRekey(pair, equal)?.kind, "accept");
  const divided = {
    localSelectors: ports(addressB, [179, 179], [1024, 30_000], [30_001, 65_535]),
    remoteSelectors: ports(addressA, [1024, 65_535], [179, 179]),
  };
  assert.equal(decisionOnRekey(pair, divided)?.kind, "accept", "however they are divided");
  const wider = { localSelectors: ports(addressB, [0, 65_535]), remoteSelectors: ports(addressA, [0, 65_535]) };
  assert.equal(decisionOnRekey(pair, wider)?.kind, "accept", "a wider proposal is narrowed to them");
  assert.equal(decisionOnRekey(pair, {})?.kind, "accept", "without TS payloads they are meant");
});

test("a REKEY_SA with narrower selectors than those in use gets TS_UNACCEPTABLE (RFC 7296 section 2.9.2)", () => {
  const pair = makePair();
  keyed(pair);
  const { localSelectors, remoteSelectors } = mktSelectors(addressB, addressA, 179);
  const narrower = [
    { localSelectors: localSelectors.slice(0, 1), remoteSelectors },
    { localSelectors, remoteSelectors: remoteSelectors.slice(0, 1) },
    { localSelectors: ports(addressB, [179, 179], [1024, 65_534]), remoteSelectors },
  ];
  for (const selectors of narrower) {
    const decision = decisionOnRekey(pair, selectors);
    assert.equal(decision?.kind === "refuse" && decision.notifyType, NotifyType.TS_UNACCEPTABLE);
  }
});

test("after a restart the row says what a rekey has to be equal to", () => {
  const pair = makePair();
  keyed(pair);
  pair.b.crash();
  pair.b.start();
  pair.world.run(60);
  assert.equal(decisionOnRekey(pair, mktSelectors(addressB, addressA, 179))?.kind, "accept");
  const narrower = { localSelectors: ports(addressB, [179, 179]), remoteSelectors: ports(addressA, [1024, 65_535]) };
  const decision = decisionOnRekey(pair, narrower);
  assert.equal(decision?.kind === "refuse" && decision.notifyType, NotifyType.TS_UNACCEPTABLE);
});

test("a responder whose session has another port by now refuses the rekey, and the old MKT stays", () => {
  const pair = makePair({ engine: "real" });
  keyed(pair);
  const [before] = pair.a.keysIn("current");
  const configuration = configurationOf("b", { session: { port: 1790 } });
  pair.b.input({ kind: "reconfigure", configuration });
  // CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }  -->
  //                                                    <--  { N(TS_UNACCEPTABLE) }
  pair.a.ask({ kind: "RKMP_rekeySA", session: "r" });
  pair.world.run(120);
  const refusals = pair.a.events.filter(({ name }) => name === "mktFailed").map(({ data }) => data["notifyType"]);
  assert.equal(refusals[0], NotifyType.TS_UNACCEPTABLE);
  assert.equal(pair.a.keysIn("current")[0]?.fingerprint, before?.fingerprint);
  assert.equal(pair.a.keysIn("held", "installed", "preferred").length, 0);
  assert.ok(pair.tcp.isUp);
  assertNoViolations(pair);
});

test("an initiator whose session has another port by now asks for a plain new MKT (RFC 7296 section 2.9.2)", () => {
  for (const engine of ["fake", "real"] as const) {
    const pair = makePair({ engine });
    keyed(pair);
    for (const name of ["a", "b"] as const)
      pair[name].input({ kind: "reconfigure", configuration: configurationOf(name, { session: { port: 1790 } }) });
    rolled(pair, pair.a);
    assert.ok(!pair.a.eventNames().includes("mktFailed"));
    assertNoViolations(pair);
  }
});

test("an answer that narrows the selectors of a rekey: the new MKT is deleted, the old one stays, and people are told", () => {
  const pair = makePair();
  keyed(pair);
  const [before] = pair.a.keysIn("current");
  pair.a.alter = (event: IkeEvent): IkeEvent =>
    event.kind === "mktNegotiated" && event.requestId !== undefined && event.replaces !== undefined
      ? { ...event, remoteSelectors: event.remoteSelectors.slice(0, 1) }
      : event;
  pair.a.ask({ kind: "RKMP_rekeySA", session: "r" });
  assert.ok(pair.world.runUntil(() => pair.a.eventNames().includes("mktFailed"), 10));
  const failed = pair.a.events.find(({ name }) => name === "mktFailed");
  assert.match(failed?.text ?? "", /the peer narrowed the traffic selectors of key [0-9a-f]+ in the rekey/);
  assert.match(failed?.text ?? "", /the old one stays/);
  pair.world.run(1);
  //  INFORMATIONAL { D(TCP_AO, SendID) }  -->
  assert.equal(pair.b.keysIn("held", "installed", "preferred").length, 0, "b deleted what a does not take");
  assert.equal(pair.a.keysIn("current")[0]?.fingerprint, before?.fingerprint);
  pair.a.alter = undefined;
  assert.ok(
    pair.world.runUntil(() => agree(pair) && pair.a.rollover().completed === 1, 600),
    "what was asked for is not forgotten",
  );
  assertNoViolations(pair);
});

test("of several sessions between two addresses a request means the one whose port it names, however they are ordered", () => {
  const pair = makePair();
  keyed(pair);
  const [only] = pair.b.parts.configuration.sessions;
  assert.ok(only !== undefined);
  const named = (port: number) => ({ session: { ...only, name: String(port), port } });
  const meant = (ports: readonly number[], ...asked: readonly [TrafficSelector[], TrafficSelector[]]) =>
    sessionMeant(ports.map(named), ...asked)?.session.port;
  const request = (port: number): [TrafficSelector[], TrafficSelector[]] => {
    const { localSelectors, remoteSelectors } = mktSelectors(addressB, addressA, port);
    return [[...localSelectors], [...remoteSelectors]];
  };
  for (const ports of [
    [4189, 179],
    [1790, 1791],
    [179, 646, 1790, 1791],
  ]) {
    for (const order of [ports, ports.toReversed()]) {
      for (const port of order) assert.equal(meant(order, ...request(port)), port, `${port} of ${order}`);
    }
  }
  assert.equal(meant([4189], ...request(179)), undefined, "another session's request is not taken for lack of its own");
  const wide: [TrafficSelector[], TrafficSelector[]] = [
    [...ports(addressB, [0, 65_535])],
    [...ports(addressA, [0, 65_535])],
  ];
  assert.equal(meant([179], ...wide), 179, "without a port of its own it means the only one");
  assert.equal(meant([179, 1790], ...wide), undefined, "and none of several");
});

test("REKEY_SA of an MKT that is being replaced gets TEMPORARY_FAILURE, of one that is gone CHILD_SA_NOT_FOUND", () => {
  const pair = makePair();
  keyed(pair);
  const old = pair.b.keysIn("current")[0]?.recvId ?? 0;
  const ask = (rekeys: number): MktDecision | undefined =>
    pair.b.policy?.consider({ peer: "a", recvId: 200, rekeys, inIkeAuth: false }, pair.world.now());
  rolled(pair, pair.a);
  assert.deepEqual(
    pair.b.keysIn("retiring").map(({ recvId }) => recvId),
    [old],
  );
  const late = ask(old);
  assert.equal(late?.kind === "refuse" && late.notifyType, NotifyType.TEMPORARY_FAILURE);
  const unknown = ask(201);
  assert.equal(unknown?.kind === "refuse" && unknown.notifyType, NotifyType.CHILD_SA_NOT_FOUND);
  pair.world.run(61);
  const muchLater = ask(old);
  assert.equal(muchLater?.kind === "refuse" && muchLater.notifyType, NotifyType.CHILD_SA_NOT_FOUND);
});
