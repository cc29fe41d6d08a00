import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyState, NotifyType } from "../../src/index.ts";
import { Pair } from "./pair.ts";
import { peerOf, psk } from "./peers.ts";

test("KMP_KEY_STATE names the MKT by its sender's SendID, which is our RecvID", () => {
  const pair = Pair.established();
  const requestId = pair.inform("a", [
    { kind: "keyState", sendId: 1, state: KeyState.ready, reason: "" },
    { kind: "keyState", sendId: 9, state: KeyState.failed, reason: "no route to BIRD" },
  ]);
  // HDR, SK {N(KMP_KEY_STATE), N(KMP_KEY_STATE)}  -->
  pair.step("a: INFORMATIONAL request {N(KMP_KEY_STATE), N(KMP_KEY_STATE)}");
  //                                <--  HDR, SK {}
  pair.step("b: INFORMATIONAL response {}");
  assert.deepEqual(pair.b.of("keyState"), [
    { kind: "keyState", peer: "a", recvId: 1, state: KeyState.ready, reason: "" },
    { kind: "keyState", peer: "a", recvId: 9, state: KeyState.failed, reason: "no route to BIRD" },
  ]);
  assert.deepEqual(pair.a.last("informed"), { kind: "informed", peer: "b", requestId });
});

test("KMP_FREEZE", () => {
  const pair = Pair.established();
  pair.inform("b", [{ kind: "freeze", seconds: 86_400 }]);
  pair.flush();
  assert.deepEqual(pair.a.last("freeze"), { kind: "freeze", peer: "b", seconds: 86_400 });
});

test("D for MKTs is answered with our own SendIDs of them (RFC 7296 section 1.4.1)", () => {
  const pair = Pair.established();
  pair.inform("a", [{ kind: "deleteMkts", sendIds: [1] }]);
  // HDR, SK {D(TCP_AO 1)}  -->
  pair.step("a: INFORMATIONAL request {D(TCP_AO 1)}");
  assert.deepEqual(pair.b.last("mktsDeleted"), { kind: "mktsDeleted", peer: "a", recvIds: [1] });
  //                                <--  HDR, SK {D(TCP_AO 100)}
  pair.step("b: INFORMATIONAL response {D(TCP_AO 100)}");
  assert.equal(pair.a.of("informed").length, 1);
  assert.deepEqual(
    [pair.a, pair.b].map((router) => router.endpoint.ikeSas()[0]?.mkts),
    [[], []],
  );
});

test("D for MKTs that are not known is answered without D", () => {
  const pair = Pair.established();
  pair.inform("a", [{ kind: "deleteMkts", sendIds: [77, 78] }]);
  // HDR, SK {D(TCP_AO 77 78)}  -->
  pair.step();
  //                                <--  HDR, SK {}
  pair.step("b: INFORMATIONAL response {}");
  assert.deepEqual(pair.b.last("mktsDeleted").recvIds, [77, 78]);
});

test("deletes that cross are answered without D (RFC 7296 section 1.4.1)", () => {
  const pair = Pair.established();
  pair.inform("a", [{ kind: "deleteMkts", sendIds: [1] }]);
  pair.inform("b", [{ kind: "deleteMkts", sendIds: [100] }]);
  // HDR, SK {D(TCP_AO 1)}  -->
  pair.step("a: INFORMATIONAL request {D(TCP_AO 1)}");
  //                                <--  HDR, SK {D(TCP_AO 100)}
  pair.step("b: INFORMATIONAL request {D(TCP_AO 100)}");
  //                                <--  HDR, SK {}
  pair.step("b: INFORMATIONAL response {}");
  // HDR, SK {}  -->
  pair.step("a: INFORMATIONAL response {}");
});

test("a request to rekey an MKT that we are deleting: TEMPORARY_FAILURE (RFC 7296 section 2.25.1)", () => {
  const pair = Pair.established();
  pair.inform("a", [{ kind: "deleteMkts", sendIds: [1] }]);
  // HDR, SK {D(TCP_AO 1)}  -->
  const deletion = pair.take();
  pair.createMkt("b", 7, { rekeys: 100 });
  //                                <--  HDR, SK {N(REKEY_SA), SA, Ni, TSi, TSr}
  pair.step("b: CREATE_CHILD_SA request {N(REKEY_SA), SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  // HDR, SK {N(TEMPORARY_FAILURE)}  -->
  pair.step("a: CREATE_CHILD_SA response {N(TEMPORARY_FAILURE)}");
  pair.deliver(deletion);
  pair.elapse(10);
  assert.equal(pair.a.last("mktNegotiated").recvId, 7);
});

test("inform without connect needs an IKE SA", () => {
  const pair = new Pair();
  const requestId = pair.inform("a", [{ kind: "freeze", seconds: 1 }], false);
  assert.deepEqual(pair.wire, []);
  assert.equal(pair.a.last("informFailed").requestId, requestId);
  assert.equal(pair.a.last("informFailed").failure.reason, "noIkeSa");
});

test("liveness: an empty INFORMATIONAL when nothing was heard for long (RFC 7296 section 2.4)", () => {
  const pair = Pair.established({ a: { livenessAfterSeconds: 100 } });
  pair.sent.length = 0;
  pair.elapse(99);
  assert.deepEqual(pair.sent, []);
  pair.elapse(2);
  assert.deepEqual(
    pair.sent.map(({ from, text }) => `${from}: ${text}`),
    ["a: INFORMATIONAL request {}", "b: INFORMATIONAL response {}"],
  );
  // What is heard counts
  pair.elapse(50);
  pair.inform("b", [{ kind: "freeze", seconds: 1 }]);
  pair.flush();
  pair.sent.length = 0;
  pair.elapse(99);
  assert.deepEqual(pair.sent, []);
});

test("a peer that does not answer the liveness check is dead; MKTs are not touched", () => {
  const pair = Pair.established({ a: { livenessAfterSeconds: 100 } });
  pair.elapse(150, () => true);
  assert.equal(pair.a.last("ikeSaClosed").failure?.reason, "timeout");
  assert.deepEqual(pair.a.states, []);
  assert.deepEqual(pair.a.of("mktsDeleted"), []);
  assert.equal(pair.a.endpoint.nextDeadline(), undefined);
});

test("ike-sa: release deletes the IKE SA when it was idle, liveness checks do not count", () => {
  const pair = Pair.established({ a: { releaseAfterIdleSeconds: 60, livenessAfterSeconds: 25 } });
  pair.elapse(50);
  pair.inform("b", [{ kind: "freeze", seconds: 1 }]);
  pair.elapse(59);
  assert.deepEqual(pair.a.states, ["established"]);
  pair.elapse(2);
  assert.equal(pair.sent.at(-2)?.text, "INFORMATIONAL request {D(IKE)}");
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
  assert.deepEqual([pair.a.of("ikeSaClosed").length, pair.b.of("ikeSaClosed").length], [1, 1]);
  assert.deepEqual(pair.b.of("mktsDeleted"), []);
});

test("the deletion of an IKE SA is answered with an empty response (RFC 7296 section 1.4.1)", () => {
  const pair = Pair.established();
  pair.input("a", { kind: "closeIkeSa", peer: "b" });
  // HDR, SK {D(IKE)}  -->
  pair.step("a: INFORMATIONAL request {D(IKE)}");
  assert.deepEqual(pair.b.states, []);
  //                                <--  HDR, SK {}
  const response = pair.step("b: INFORMATIONAL response {}");
  assert.deepEqual(pair.a.states, []);
  assert.ok(response);
});

test("a Delete whose response was lost is answered from memory (RFC 7296 section 2.1)", () => {
  const pair = Pair.established();
  pair.input("a", { kind: "closeIkeSa", peer: "b" });
  let lost = 0;
  pair.elapse(3, ({ from }) => from === "b" && lost++ === 0);
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
  assert.equal(pair.b.endpoint.counters.repeatedRequests, 1);
  pair.elapse(120);
  assert.equal(pair.b.endpoint.nextDeadline(), undefined);
});

test("both ends delete the IKE SA at once (RFC 7296 section 2.25.2)", () => {
  const pair = Pair.established();
  pair.input("a", { kind: "closeIkeSa", peer: "b" });
  pair.input("b", { kind: "closeIkeSa", peer: "a" });
  pair.elapse(130);
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
  assert.deepEqual([pair.a.of("ikeSaClosed").length, pair.b.of("ikeSaClosed").length], [1, 1]);
});

test("requests under way when the peer deletes the IKE SA go on in a new one, a few times", () => {
  const pair = Pair.established();
  const requestId = pair.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.take(); // lost
  pair.input("b", { kind: "closeIkeSa", peer: "a" });
  pair.elapse(1);
  assert.equal(pair.a.last("mktNegotiated").requestId, requestId);
  pair.assertSameMkt(2);
});

test("configure: a peer that is gone loses its IKE SA and its requests", () => {
  const pair = Pair.established();
  const requestId = pair.createMkt("a", 2);
  pair.wire.length = 0;
  pair.input("a", { kind: "configure", peers: [] });
  assert.equal(pair.a.last("mktFailed").requestId, requestId);
  assert.equal(pair.a.last("mktFailed").failure.reason, "peerUnknown");
  assert.equal(pair.a.last("ikeSaClosed").failure?.reason, "peerUnknown");
  pair.elapse(130);
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
  assert.ok(pair.sent.some(({ text }) => text === "INFORMATIONAL request {D(IKE)}"));
  // Now it is a stranger
  pair.createMkt("b", 7);
  //                                <--  HDR(A,0), SAi1, KEi, Ni
  pair.step();
  assert.deepEqual(pair.wire, []);
  assert.equal(pair.a.endpoint.counters.unknownSource, 1);
});

test("configure: a peer that is gone while we set up its IKE SA", () => {
  const pair = new Pair();
  const requestId = pair.createMkt("a", 1);
  pair.input("a", { kind: "configure", peers: [] });
  assert.equal(pair.a.last("mktFailed").requestId, requestId);
  assert.equal(pair.a.last("mktFailed").failure.reason, "peerUnknown");
  assert.equal(pair.a.endpoint.nextDeadline(), undefined);
});

test("configure: another credential ends the IKE SA, other settings do not", () => {
  const pair = Pair.established();
  pair.input("a", { kind: "configure", peers: [peerOf("a", { rekeyAfterSeconds: 100, livenessAfterSeconds: 10 })] });
  assert.deepEqual(pair.a.states, ["established"]);
  assert.deepEqual(pair.wire, []);
  pair.elapse(11);
  assert.ok(pair.sent.some(({ text }) => text === "INFORMATIONAL request {}"));
  pair.input("a", { kind: "configure", peers: [peerOf("a", { remoteAuthentication: psk("z".repeat(32)) })] });
  assert.equal(pair.a.of("ikeSaClosed").length, 1);
  pair.flush();
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
});

test("a status notify that is not known is ignored, an error in a response is a failure (section 3.10.1)", () => {
  const pair = Pair.established();
  pair.a.crypto.tamper = (plaintext) => {
    // N: header (4), protocol, SPI size, type (2): 48646 becomes 48700
    assert.equal((plaintext[6] ?? 0) * 256 + (plaintext[7] ?? 0), NotifyType.KMP_FREEZE);
    plaintext[7] = 48_700 & 0xff;
  };
  pair.inform("a", [{ kind: "freeze", seconds: 1 }]);
  // HDR, SK {N(48700)}  -->
  pair.step();
  //                                <--  HDR, SK {}
  pair.step("b: INFORMATIONAL response {}");
  assert.deepEqual(pair.b.of("freeze"), []);
  pair.b.crypto.tamper = (plaintext) => {
    plaintext[6] = 8300 >> 8;
    plaintext[7] = 8300 & 0xff;
  };
  pair.b.policy.decide = () => ({ kind: "refuse", notifyType: NotifyType.NO_ADDITIONAL_SAS, detail: "" });
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  //                                <--  HDR, SK {N(8300)}
  pair.createMkt("a", 2);
  pair.flush();
  assert.equal(pair.a.last("mktFailed").failure.notifyType, 8300);
  assert.deepEqual(pair.a.states, ["established"]);
});

test("show: what ikeSas() says of both ends", () => {
  const pair = Pair.established();
  const [a] = pair.a.endpoint.ikeSas();
  const [b] = pair.b.endpoint.ikeSas();
  assert.ok(a && b);
  assert.deepEqual([a.peer, a.role, a.state, a.peerSpeaksKarp], ["b", "initiator", "established", true]);
  assert.deepEqual([b.peer, b.role, b.exchanges, b.queued], ["a", "responder", 1, 0]);
  assert.equal(a.initiatorSpi, b.initiatorSpi);
  assert.match(a.initiatorSpi, /^[0-9a-f]{16}$/);
  assert.equal(a.since, pair.now.wall);
  assert.ok((a.nextRekeyAt ?? 0) > pair.now.wall);
  assert.ok((a.nextReauthenticationAt ?? 0) > (a.nextRekeyAt ?? 0));
  assert.doesNotMatch(JSON.stringify([a, b]), /secret|skE|key"/i);
});
