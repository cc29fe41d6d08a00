import assert from "node:assert/strict";
import { test } from "node:test";
import { type IkeSuite, KeyExchangeMethod } from "../../src/index.ts";
import { type Packet, Pair } from "./pair.ts";
import { aesGcm, otherEnd, peerOf } from "./peers.ts";

const spisOf = (pair: Pair, end: "a" | "b"): readonly string[] =>
  pair
    .router(end)
    .endpoint.ikeSas()
    .map((sa) => `${sa.initiatorSpi} ${sa.responderSpi}`);

for (const end of ["a", "b"] as const) {
  test(`rekey of the IKE SA by ${end}: new SPIs, MKTs move, the initiator deletes the old one (RFC 7296 section 1.3.2)`, () => {
    const pair = Pair.established();
    const before = spisOf(pair, "a");
    const other = otherEnd(end);
    pair.input(end, { kind: "rekeyIkeSa", peer: other });
    // HDR, SK {SA, Ni, KEi}  -->
    pair.step(`${end}: CREATE_CHILD_SA request {SA, N, KE}`);
    //                                <--  HDR, SK {SA, Nr, KEr}
    pair.step(`${other}: CREATE_CHILD_SA response {SA, N, KE}`);
    // HDR, SK {D}  -->
    pair.step(`${end}: INFORMATIONAL request {D(IKE)}`);
    //                                <--  HDR, SK {}
    pair.step(`${other}: INFORMATIONAL response {}`);
    assert.deepEqual(pair.wire, []);
    assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
    assert.deepEqual(spisOf(pair, "a"), spisOf(pair, "b"));
    assert.notDeepEqual(spisOf(pair, "a"), before);
    // Who rekeys is the original initiator of the new one
    assert.equal(pair.router(end).endpoint.ikeSas()[0]?.role, "initiator");
    assert.equal(pair.router(other).endpoint.ikeSas()[0]?.role, "responder");
    for (const router of [pair.a, pair.b]) {
      assert.equal(router.of("ikeSaRekeyed").length, 1);
      assert.deepEqual(router.of("ikeSaClosed"), []);
    }
    // The MKT can be rekeyed by name under the new IKE SA
    pair.createMkt("a", 2, { rekeys: 1 });
    pair.step("a: CREATE_CHILD_SA request {N(REKEY_SA), SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
    pair.flush();
    pair.assertSameMkt(2);
  });
}

test("the old IKE SA is good until it is deleted (RFC 7296 section 2.8)", () => {
  const pair = Pair.established();
  pair.inform("b", [{ kind: "freeze", seconds: 7 }]);
  const early = pair.take("b: INFORMATIONAL request {N(KMP_FREEZE)}");
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  pair.step();
  pair.step();
  pair.deliver(early);
  assert.equal(pair.a.last("freeze").seconds, 7);
  pair.flush();
  assert.equal(pair.b.of("informed").length, 1);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
});

test("a request under way in the old IKE SA goes on in the new one", () => {
  const pair = Pair.established();
  const requestId = pair.inform("b", [{ kind: "freeze", seconds: 7 }]);
  pair.take("b: INFORMATIONAL request {N(KMP_FREEZE)}"); // lost
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  pair.flush();
  assert.equal(pair.b.last("informed").requestId, requestId);
  assert.equal(pair.a.of("freeze").length, 1);
});

test("requests that wait move to the new IKE SA", () => {
  const pair = Pair.established();
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  pair.createMkt("a", 2);
  pair.createMkt("a", 3);
  pair.flush();
  pair.assertSameMkt(2);
  pair.assertSameMkt(3);
});

test("an MKT is asked for while the IKE SA is being rekeyed: TEMPORARY_FAILURE, later again (section 2.25.2)", () => {
  const pair = Pair.established();
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  const rekey = pair.take("a: CREATE_CHILD_SA request {SA, N, KE}");
  pair.createMkt("b", 7);
  pair.step("b: CREATE_CHILD_SA request {SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  pair.step("a: CREATE_CHILD_SA response {N(TEMPORARY_FAILURE)}");
  pair.deliver(rekey);
  pair.elapse(10);
  assert.equal(pair.a.last("mktNegotiated").recvId, 7);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
});

test("a rekey of the IKE SA while an MKT is being made: TEMPORARY_FAILURE, later again (section 2.25.1)", () => {
  const pair = Pair.established();
  pair.createMkt("b", 7);
  const create = pair.take("b: CREATE_CHILD_SA request {SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  pair.step("a: CREATE_CHILD_SA request {SA, N, KE}");
  pair.step("b: CREATE_CHILD_SA response {N(TEMPORARY_FAILURE)}");
  pair.deliver(create);
  pair.elapse(10);
  assert.equal(pair.a.last("mktNegotiated").recvId, 7);
  assert.equal(pair.a.of("ikeSaRekeyed").length, 1);
});

test("a rekey of the IKE SA while the responder holds an MKT's answer: TEMPORARY_FAILURE", () => {
  const pair = Pair.established();
  pair.b.commits = false;
  pair.createMkt("a", 2);
  pair.step();
  pair.input("b", { kind: "rekeyIkeSa", peer: "a" });
  pair.step("b: CREATE_CHILD_SA request {SA, N, KE}");
  pair.step("a: CREATE_CHILD_SA response {N(TEMPORARY_FAILURE)}");
  pair.input("b", { kind: "commit", commitId: pair.b.last("mktNegotiated").commitId ?? 0 });
  pair.elapse(10);
  pair.assertSameMkt(2);
  assert.equal(pair.a.of("ikeSaRekeyed").length, 1);
});

test("a rekey of the IKE SA while an MKT is being deleted: TEMPORARY_FAILURE (section 2.25.1)", () => {
  const pair = Pair.established();
  pair.inform("b", [{ kind: "deleteMkts", sendIds: [100] }]);
  const deletion = pair.take();
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  pair.step("a: CREATE_CHILD_SA request {SA, N, KE}");
  pair.step("b: CREATE_CHILD_SA response {N(TEMPORARY_FAILURE)}");
  pair.deliver(deletion);
  pair.elapse(10);
  assert.equal(pair.a.of("ikeSaRekeyed").length, 1);
});

test("our own rekey is never answered, the peer's was: the peer's stays when the old IKE SA dies", () => {
  const pair = Pair.established();
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  pair.take("a: CREATE_CHILD_SA request {SA, N, KE}");
  pair.input("b", { kind: "rekeyIkeSa", peer: "a" });
  pair.step("b: CREATE_CHILD_SA request {SA, N, KE}");
  pair.step("a: CREATE_CHILD_SA response {SA, N, KE}");
  // From now on nothing about the old IKE SA arrives
  pair.elapse(150, ({ text }) => text.startsWith("CREATE_CHILD_SA") || text.startsWith("INFORMATIONAL request {D"));
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
  assert.deepEqual(spisOf(pair, "a"), spisOf(pair, "b"));
  assert.deepEqual(pair.a.endpoint.ikeSas()[0]?.mkts, [1]);
  assert.deepEqual(pair.a.of("ikeSaClosed"), []);
});

/** a's request to rekey is lost for now; it has answered b's. `deletion`: b's Delete of the old IKE SA, under way. */
function halfwayThroughPeersRekey(): { readonly pair: Pair; readonly deletion: Packet } {
  const pair = Pair.established();
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  // HDR, SK {SA, Ni, KEi}  -->  (lost)
  pair.take("a: CREATE_CHILD_SA request {SA, N, KE}");
  pair.input("b", { kind: "rekeyIkeSa", peer: "a" });
  //                            <--  HDR, SK {SA, Ni, KEi}
  pair.step("b: CREATE_CHILD_SA request {SA, N, KE}");
  // HDR, SK {SA, Nr, KEr}  -->
  pair.step("a: CREATE_CHILD_SA response {SA, N, KE}");
  return { pair, deletion: pair.take("b: INFORMATIONAL request {D(IKE)}") };
}

test("an MKT made in the peer's new IKE SA, before it took over here, is one of those that move (section 2.8.2)", () => {
  const { pair, deletion } = halfwayThroughPeersRekey();
  pair.createMkt("b", 7);
  pair.step("b: CREATE_CHILD_SA request {SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  pair.flush();
  pair.deliver(deletion);
  pair.flush();
  const sendId = pair.a.last("mktNegotiated").sendId;
  assert.deepEqual(pair.a.endpoint.ikeSas()[0]?.mkts, [1, sendId]);
  pair.createMkt("b", 8, { rekeys: 7 });
  pair.step("b: CREATE_CHILD_SA request {N(REKEY_SA), SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  pair.step("a: CREATE_CHILD_SA response {SA, N, TSi, TSr}");
});

test("the peer's new IKE SA cannot be rekeyed before it took over here: TEMPORARY_FAILURE (section 2.25)", () => {
  const { pair, deletion } = halfwayThroughPeersRekey();
  pair.input("b", { kind: "rekeyIkeSa", peer: "a" });
  //                            <--  HDR, SK {SA, Ni, KEi}
  pair.step("b: CREATE_CHILD_SA request {SA, N, KE}");
  // HDR, SK {N(TEMPORARY_FAILURE)}  -->
  pair.step("a: CREATE_CHILD_SA response {N(TEMPORARY_FAILURE)}");
  pair.deliver(deletion);
  pair.elapse(10);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
  assert.deepEqual(spisOf(pair, "a"), spisOf(pair, "b"));
  assert.deepEqual([pair.a.of("ikeSaRekeyed").length, pair.b.of("ikeSaRekeyed").length], [2, 2]);
});

test("the peer deletes its own new IKE SA, which lost, before we have the answer to our rekey: nobody hears of it (section 2.8.2)", () => {
  const losers = ["1", "2", "3", "4", "5", "6"].filter((seed) => {
    const pair = Pair.established({ seed });
    pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
    pair.input("b", { kind: "rekeyIkeSa", peer: "a" });
    // send req1: SA(..,SPIa1,..),Ni1,..  -->
    pair.step("a: CREATE_CHILD_SA request {SA, N, KE}");
    //                            <--  send req2: SA(..,SPIb1,..),Ni2,..
    pair.step("b: CREATE_CHILD_SA request {SA, N, KE}");
    //                            <--  send resp1  (lost for now)
    pair.take("b: CREATE_CHILD_SA response {SA, N, KE}");
    // send resp2  -->
    pair.step("a: CREATE_CHILD_SA response {SA, N, KE}");
    //                            <--  send req4: D(), of the old IKE SA or of the one that lost
    pair.flush();
    const isPeersLost = pair.a.of("ikeSaRekeyed").length === 0;
    pair.elapse(200);
    assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
    assert.deepEqual(spisOf(pair, "a"), spisOf(pair, "b"));
    for (const router of [pair.a, pair.b]) {
      assert.deepEqual([router.of("ikeSaRekeyed").length, router.of("ikeSaClosed").length], [1, 0]);
    }
    return isPeersLost;
  });
  assert.ok(losers.length > 0);
});

test("another group for the rekey: INVALID_KE_PAYLOAD, then again", () => {
  const onlyEcp: IkeSuite = { ...aesGcm, keyExchange: [KeyExchangeMethod.ECP_256] };
  const pair = Pair.established();
  pair.input("b", { kind: "configure", peers: [peerOf("b", { suites: [onlyEcp] })] });
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  pair.step("a: CREATE_CHILD_SA request {SA, N, KE}");
  pair.step("b: CREATE_CHILD_SA response {N(INVALID_KE_PAYLOAD)}");
  pair.step("a: CREATE_CHILD_SA request {SA, N, KE}");
  pair.flush();
  assert.match(pair.a.endpoint.ikeSas()[0]?.suite ?? "", /ECP-256/);
});

test("a peer that refuses to rekey: a new IKE SA takes the place (RFC 7296 section 2.8)", () => {
  const pair = Pair.established();
  const never: IkeSuite = { ...aesGcm, prf: [7] };
  pair.input("b", { kind: "configure", peers: [peerOf("b", { suites: [never] })] });
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  pair.step("a: CREATE_CHILD_SA request {SA, N, KE}");
  pair.step("b: CREATE_CHILD_SA response {N(NO_PROPOSAL_CHOSEN)}");
  pair.input("b", { kind: "configure", peers: [peerOf("b")] });
  pair.elapse(1);
  assert.equal(pair.a.of("ikeSaEstablished").length, 2);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
});

test("both ends rekey the IKE SA at once: the one with the lowest nonce goes (RFC 7296 section 2.8.2)", () => {
  for (const seed of ["1", "2", "3", "4", "5", "6", "7", "8"]) {
    const pair = Pair.established({ seed });
    // send req1: SA(..,SPIa1,..),Ni1,..  -->
    pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
    //                            <--  send req2: SA(..,SPIb1,..),Ni2,..
    pair.input("b", { kind: "rekeyIkeSa", peer: "a" });
    pair.step("a: CREATE_CHILD_SA request {SA, N, KE}");
    pair.step("b: CREATE_CHILD_SA request {SA, N, KE}");
    pair.flush();
    assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]], seed);
    assert.deepEqual(spisOf(pair, "a"), spisOf(pair, "b"));
    assert.deepEqual(pair.a.endpoint.ikeSas()[0]?.mkts, [1]);
    assert.deepEqual(pair.b.endpoint.ikeSas()[0]?.mkts, [100]);
    assert.deepEqual([pair.a.of("ikeSaRekeyed").length, pair.b.of("ikeSaRekeyed").length], [1, 1]);
    assert.deepEqual([pair.a.of("ikeSaClosed"), pair.b.of("ikeSaClosed")], [[], []]);
    pair.createMkt("b", 7);
    pair.flush();
    assert.equal(pair.a.last("mktNegotiated").recvId, 7);
  }
});

test("only one end notices the simultaneous rekey: it forgets its own (RFC 7296 section 2.8.2)", () => {
  const pair = Pair.established();
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  pair.input("b", { kind: "rekeyIkeSa", peer: "a" });
  pair.step("a: CREATE_CHILD_SA request {SA, N, KE}");
  const lost = pair.take("b: CREATE_CHILD_SA request {SA, N, KE}");
  // recv resp1
  pair.step("b: CREATE_CHILD_SA response {SA, N, KE}");
  // send req3: D()  -->
  pair.step("a: INFORMATIONAL request {D(IKE)}");
  pair.step("b: INFORMATIONAL response {}");
  pair.deliver(lost);
  pair.elapse(200);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
  assert.deepEqual(spisOf(pair, "a"), spisOf(pair, "b"));
  assert.deepEqual(pair.b.endpoint.ikeSas()[0]?.mkts, [100]);
  assert.deepEqual([pair.a.of("ikeSaClosed"), pair.b.of("ikeSaClosed")], [[], []]);
});

test("rekey under load: MKTs from both ends, three rekeys of the IKE SA, nothing is lost", () => {
  const pair = Pair.established();
  for (let round = 0; round < 3; round++) {
    const [atA, atB] = [10 + round * 4, 50 + round * 4];
    for (let count = 0; count < 3; count++) {
      pair.createMkt("a", atA + count);
      pair.createMkt("b", atB + count);
    }
    pair.input(round % 2 === 0 ? "a" : "b", { kind: "rekeyIkeSa", peer: round % 2 === 0 ? "b" : "a" });
    pair.elapse(30);
  }
  assert.equal(pair.a.of("mktNegotiated").length, 19);
  assert.equal(pair.b.of("mktNegotiated").length, 19);
  assert.deepEqual([pair.a.of("mktFailed"), pair.b.of("mktFailed")], [[], []]);
  assert.equal(pair.a.of("ikeSaRekeyed").length, 3);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
});

test("an IKE SA is rekeyed when its lifetime is over, less a jitter of at most 10 % (RFC 7296 section 2.8.1)", () => {
  const pair = Pair.established({ a: { rekeyAfterSeconds: 1000 } });
  const due = (pair.a.endpoint.ikeSas()[0]?.nextRekeyAt ?? 0) - pair.now.wall;
  assert.ok(due > 900_000 && due <= 1_000_000, `${due}`);
  pair.elapse(890);
  assert.equal(pair.a.of("ikeSaRekeyed").length, 0);
  pair.elapse(111);
  assert.equal(pair.a.of("ikeSaRekeyed").length, 1);
  pair.elapse(10_000);
  assert.ok(pair.a.of("ikeSaRekeyed").length >= 10);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
});

test("an IKE SA is rekeyed before its counters wear out (RFC 7296 section 2.2)", () => {
  const pair = Pair.established({ settings: { rekeyAtMessages: 20 } });
  for (let count = 0; count < 30; count++) {
    pair.inform("a", [{ kind: "freeze", seconds: count }]);
    pair.flush();
  }
  assert.ok(pair.a.of("ikeSaRekeyed").length >= 1);
  assert.equal(pair.a.of("informed").length, 30);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
});

test("an IKE SA that was not rekeyed in time is closed before its Message IDs wrap (RFC 7296 section 2.2)", () => {
  const pair = Pair.established({ settings: { rekeyAtMessages: 20, closeAtMessages: 20 } });
  for (let count = 0; count < 30; count++) {
    pair.inform("a", [{ kind: "freeze", seconds: count }]);
    pair.flush();
  }
  assert.ok(pair.sent.some(({ text }) => text === "INFORMATIONAL request {D(IKE)}"));
  assert.equal(pair.a.of("informed").length, 30);
  assert.equal(pair.a.of("ikeSaEstablished").length, 2);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
});

test("reauthentication: a new IKE SA first, then the old one is deleted (RFC 7296 section 2.8.3)", () => {
  const pair = Pair.established({ a: { reauthenticateAfterSeconds: 1000 } });
  pair.sent.length = 0;
  pair.elapse(1001);
  const texts = pair.sent.map(({ from, text }) => `${from}: ${text}`);
  assert.deepEqual(texts.slice(2), [
    "a: IKE_AUTH request {IDi, IDr, AUTH}",
    "b: IKE_AUTH response {IDr, AUTH}",
    "a: INFORMATIONAL request {D(IKE)}",
    "b: INFORMATIONAL response {}",
  ]);
  for (const router of [pair.a, pair.b]) {
    assert.deepEqual(
      router.events.map(({ kind }) => kind),
      ["ikeSaEstablished", "mktNegotiated", "ikeSaEstablished", "ikeSaClosed"],
    );
    assert.deepEqual(router.states, ["established"]);
  }
});

test("reauthentication that fails leaves the old IKE SA as it is, and is tried again", () => {
  const pair = Pair.established({ a: { reauthenticateAfterSeconds: 1000 } });
  pair.elapse(1050, ({ text }) => text.startsWith("IKE_SA_INIT"));
  assert.ok(pair.a.of("ikeSaFailed").length >= 1);
  assert.deepEqual(pair.a.states.filter((state) => state === "established").length, 1);
  assert.deepEqual(pair.a.of("ikeSaClosed"), []);
  pair.elapse(120);
  assert.equal(pair.a.of("ikeSaEstablished").length, 2);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
});

test("a lifetime of the IKE SA's authentication is not prolonged by rekeys", () => {
  const pair = Pair.established({ a: { rekeyAfterSeconds: 300, reauthenticateAfterSeconds: 1000 } });
  pair.elapse(1001);
  assert.equal(pair.a.of("ikeSaEstablished").length, 2);
});

/** Delivers each packet `latency` milliseconds after it was sent, until `isDone` or for a minute. */
function travel(pair: Pair, latency: number, isDone: () => boolean, underWay: { at: number; packet: Packet }[]): void {
  const end = pair.milliseconds + 60_000;
  const dueAt = (router: "a" | "b"): number => pair.router(router).endpoint.nextDeadline() ?? Number.POSITIVE_INFINITY;
  while (!isDone() && pair.milliseconds < end) {
    for (const packet of pair.wire.splice(0)) underWay.push({ at: pair.milliseconds + latency, packet });
    const next = Math.min(end, dueAt("a"), dueAt("b"), ...underWay.map(({ at }) => at));
    pair.milliseconds = Math.max(pair.milliseconds, next);
    const [first] = underWay;
    if (first !== undefined && first.at <= pair.milliseconds) {
      underWay.shift();
      pair.deliver(first.packet);
    }
    for (const router of ["a", "b"] as const) {
      if (dueAt(router) <= pair.milliseconds) pair.input(router, { kind: "timeout" });
    }
  }
}

for (const latency of [5, 40, 150]) {
  test(`createMkt that crosses a rekey of the IKE SA, ${latency} ms away: not refused for ever (RFC 7296 section 2.25.2)`, () => {
    for (const offset of [0, 2, 4]) {
      const pair = Pair.established();
      // CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }  -->  <--  CREATE_CHILD_SA { SA, Ni, KEi }
      pair.createMkt("a", 7, { rekeys: 1 });
      const underWay = pair.wire.splice(0).map((packet) => ({ at: pair.milliseconds + latency, packet }));
      pair.milliseconds += offset;
      pair.input("b", { kind: "rekeyIkeSa", peer: "a" });
      const isMade = (): boolean => pair.a.of("mktNegotiated").some(({ replaces }) => replaces === 1);
      travel(pair, latency, () => isMade() && pair.b.of("ikeSaRekeyed").length > 0, underWay);
      assert.ok(isMade(), `${offset} ms apart: ${JSON.stringify(pair.a.of("mktFailed"))}`);
      assert.equal(pair.b.of("ikeSaRekeyed").length, 1);
    }
  });
}
