/** However an exchange ends, nothing stays behind that no deadline and no message would ever end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeMessage, encodeMessage, type IkePeer, NotifyType } from "../../src/index.ts";
import { Pair } from "./pair.ts";
import { ed25519Key, peerOf, psk } from "./peers.ts";
import { certificate } from "./selfSigned.ts";

/** Both ends rekey at once; a has answered b's request, and its own is still unanswered. The wire: a's request, a's answer. */
function halfwayThroughTwoRekeys(seed = "pair"): Pair {
  const pair = Pair.established({ seed });
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  pair.input("b", { kind: "rekeyIkeSa", peer: "a" });
  const request = pair.take("a: CREATE_CHILD_SA request {SA, N, KE}");
  pair.step("b: CREATE_CHILD_SA request {SA, N, KE}");
  pair.wire.unshift(request);
  assert.deepEqual(pair.a.states, ["established", "established"]);
  return pair;
}

test("the answer to our rekey is malformed while the peer's rekey was answered: no IKE SA stays behind (section 2.8.2)", () => {
  const pair = halfwayThroughTwoRekeys();
  pair.b.crypto.tamper = (plaintext) => plaintext.fill(0xff, 0, 4);
  pair.elapse(300);
  assert.equal(pair.a.endpoint.counters.protocolFaults, 1);
  assert.deepEqual(pair.a.states, []);
  pair.createMkt("a", 2);
  pair.elapse(300);
  pair.assertSameMkt(2);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
});

test("a peer that is gone from the configuration in the middle of two rekeys keeps no IKE SA (section 2.8.2)", () => {
  const pair = halfwayThroughTwoRekeys();
  pair.input("a", { kind: "configure", peers: [] });
  pair.elapse(300);
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
  // Nor in the moment after, when one of the two has lost and waits for its end
  const settled = halfwayThroughTwoRekeys();
  settled.step();
  settled.step();
  settled.step();
  settled.input("a", { kind: "configure", peers: [] });
  settled.elapse(60);
  assert.deepEqual(settled.a.states, []);
});

test("closing the IKE SA in the middle of two rekeys closes both (RFC 7296 section 2.8.2)", () => {
  for (const seed of ["1", "2", "3", "4", "5", "6"]) {
    const pair = halfwayThroughTwoRekeys(seed);
    pair.input("a", { kind: "closeIkeSa", peer: "b" });
    pair.elapse(10);
    assert.deepEqual([pair.a.states, pair.b.states], [[], []], seed);
  }
});

test("closing the IKE SA while our rekey is unanswered: what the peer made of it goes too (RFC 7296 section 2.25.2)", () => {
  const pair = Pair.established();
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  // HDR, SK {SA, Ni, KEi}  -->
  pair.step("a: CREATE_CHILD_SA request {SA, N, KE}");
  pair.input("a", { kind: "closeIkeSa", peer: "b" });
  //                            <--  HDR, SK {SA, Nr, KEr}
  pair.step("b: CREATE_CHILD_SA response {SA, N, KE}");
  // HDR, SK {D}  -->, in the old one and in the new one
  pair.step("a: INFORMATIONAL request {D(IKE)}");
  pair.step("a: INFORMATIONAL request {D(IKE)}");
  pair.flush();
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
  assert.deepEqual([pair.a.of("ikeSaClosed").length, pair.b.of("ikeSaClosed").length], [1, 1]);
});

test("the answer to our rekey is malformed and the IKE SA is being closed: the Delete is sent all the same (section 2.21)", () => {
  const pair = Pair.established();
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  pair.input("a", { kind: "closeIkeSa", peer: "b" });
  pair.b.crypto.tamper = (plaintext) => plaintext.fill(0xff, 0, 4);
  // HDR, SK {SA, Ni, KEi}  -->
  pair.step("a: CREATE_CHILD_SA request {SA, N, KE}");
  //                            <--  HDR, SK {what nobody can read}
  pair.step();
  assert.equal(pair.a.endpoint.counters.protocolFaults, 1);
  // HDR, SK {D}  -->
  pair.step("a: INFORMATIONAL request {D(IKE)}");
  //                            <--  HDR, SK {}
  pair.step("b: INFORMATIONAL response {}");
  assert.deepEqual(pair.a.states, []);
});

test("a commit that comes too late: whoever stored the MKT is told that the peer does not have it", () => {
  const pair = Pair.established();
  pair.b.commits = false;
  pair.createMkt("a", 2);
  pair.elapse(21);
  const { commitId, recvId } = pair.b.of("mktNegotiated").at(1) ?? {};
  assert.deepEqual(
    pair.b.of("mktsDeleted").map(({ recvIds }) => recvIds),
    [[recvId]],
  );
  assert.ok(commitId !== undefined);
  pair.wire.length = 0;
  assert.deepEqual(pair.input("b", { kind: "commit", commitId }), []);
});

test("the IKE SA goes while an answer is held: whoever stores the MKT is told once that the peer does not have it", () => {
  for (const end of ["a", "b"] as const) {
    const pair = Pair.established();
    pair.b.commits = false;
    pair.createMkt("a", 2);
    pair.step();
    pair.b.commits = true;
    pair.input(end, { kind: "closeIkeSa", peer: end === "a" ? "b" : "a" });
    pair.elapse(120);
    assert.deepEqual(
      pair.b.of("mktsDeleted").map(({ recvIds }) => recvIds),
      [[2]],
      end,
    );
  }
});

function withBrokenKey(changes: Partial<IkePeer>): Partial<IkePeer> {
  const broken = {
    ...ed25519Key(),
    sign: () => {
      throw new Error("the token is gone: slot 3");
    },
  };
  return { localAuthentication: { kind: "signature", key: broken, certificates: [] }, ...changes };
}

test("a signing key that fails: the attempt fails, at either end, and nothing hangs", () => {
  for (const end of ["a", "b"] as const) {
    const pair = new Pair({ [end]: withBrokenKey({}) });
    pair.createMkt("a", 1);
    pair.flush();
    assert.equal(pair.a.last("mktFailed").failure.reason, "authenticationFailed");
    pair.elapse(120);
    assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
    assert.doesNotMatch(JSON.stringify([pair.a.events, pair.b.events, pair.a.logs, pair.b.logs]), /slot 3/);
  }
});

test("a signing key that fails after the initiator's certificate was judged: refused", () => {
  const { key, der } = certificate("a.example.net");
  const pair = new Pair({
    a: { localAuthentication: { kind: "signature", key, certificates: [der] } },
    b: withBrokenKey({ remoteAuthentication: { kind: "certificate" } }),
  });
  pair.createMkt("a", 1);
  pair.flush();
  assert.equal(pair.b.asked.length, 1);
  assert.equal(pair.a.last("mktFailed").failure.reason, "authenticationFailed");
  pair.elapse(120);
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
});

test("a bug of ours ends the IKE SA that it met, and nothing else", () => {
  const pair = Pair.established();
  pair.b.policy.decide = () => {
    throw new TypeError("a bug");
  };
  pair.createMkt("a", 2);
  const { data, local, remote } = pair.take();
  const effects = pair.b.endpoint.handle({ kind: "datagram", local: remote, remote: local, data }, pair.now);
  assert.deepEqual(
    effects.map((effect) => (effect.kind === "event" ? effect.event.kind : effect.kind)),
    ["log", "ikeSaClosed"],
  );
  assert.deepEqual(pair.b.states, []);
  assert.equal(pair.b.endpoint.counters.internalErrors, 1);
});

/** b's IKE_SA_INIT responses without CHILDLESS_IKEV2_SUPPORTED: nobody has authenticated them yet. */
function forgeChildless(pair: Pair, seconds: number): void {
  pair.elapse(seconds, (packet) => {
    if (!packet.text.startsWith("IKE_SA_INIT response {SA")) return false;
    const { header, payloads } = decodeMessage(packet.data);
    const rest = payloads.filter(
      (payload) => payload.kind !== "N" || payload.notifyType !== NotifyType.CHILDLESS_IKEV2_SUPPORTED,
    );
    pair.deliver({ ...packet, data: encodeMessage(header, rest) });
    return true;
  });
}

test("an IKE_SA_INIT response that nobody has authenticated does not end the old IKE SA (RFC 6023, section 2.8.3)", () => {
  const pair = Pair.established({ a: { reauthenticateAfterSeconds: 1000 } });
  forgeChildless(pair, 1001);
  assert.equal(pair.a.last("ikeSaFailed").failure.reason, "childlessNotSupported");
  assert.deepEqual(pair.a.of("ikeSaClosed"), []);
  pair.elapse(61);
  assert.equal(pair.a.of("ikeSaEstablished").length, 2);
});

test("a peer that takes no childless IKE SA is not trusted for longer than its authentication (section 2.8.3)", () => {
  const pair = Pair.established({ a: { reauthenticateAfterSeconds: 1000 } });
  forgeChildless(pair, 1001 + 8 * 60);
  assert.deepEqual(pair.a.of("ikeSaClosed"), []);
  forgeChildless(pair, 180);
  assert.match(pair.a.last("ikeSaClosed").failure?.detail ?? "", /did not authenticate again/);
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
  // The next MKT brings the new one
  pair.createMkt("a", 2);
  pair.flush();
  pair.assertSameMkt(2);
});

test("own identities are those of the peers that are configured now", () => {
  const pair = new Pair();
  const own = peerOf("b").localIdentity;
  // b keyed "itself" with another name for a while; now it is only b again
  pair.input("b", { kind: "configure", peers: [peerOf("b", { localIdentity: peerOf("a").localIdentity })] });
  pair.input("b", { kind: "configure", peers: [peerOf("b", { localIdentity: own })] });
  pair.createMkt("a", 1);
  pair.flush();
  pair.assertSameMkt(1);
});

test("a request that is over begins no IKE SA when the one that it was sent in goes", () => {
  for (const end of ["a peer that is gone from the configuration", "a request that was abandoned"]) {
    const pair = Pair.established();
    const requestId = pair.createMkt("a", 2);
    if (end.startsWith("a peer")) pair.input("a", { kind: "configure", peers: [] });
    else pair.input("a", { kind: "abandon", requestId });
    pair.wire.length = 0;
    pair.input("b", { kind: "closeIkeSa", peer: "a" });
    pair.flush();
    pair.elapse(300);
    assert.equal(pair.sent.filter(({ text }) => text.startsWith("IKE_SA_INIT request")).length, 1, end);
    assert.deepEqual(pair.a.states, [], end);
    assert.equal(pair.a.of("mktFailed").length, 1, end);
  }
});

test("what comes in an IKE SA of the credential before is answered, and means nothing any more", () => {
  const pair = Pair.established();
  const { events } = pair.a;
  pair.input("a", {
    kind: "configure",
    peers: [peerOf("a", { remoteAuthentication: psk("another-one-0123456789abcdef") })],
  });
  pair.take("a: INFORMATIONAL request {D(IKE)}");
  assert.deepEqual(pair.a.states, ["closing"]);
  const before = events.length;
  pair.inform("b", [{ kind: "keyState", sendId: 100, state: 4, reason: "stolen" }]);
  pair.step("b: INFORMATIONAL request {N(KMP_KEY_STATE)}");
  pair.step("a: INFORMATIONAL response {}");
  pair.inform("b", [{ kind: "deleteMkts", sendIds: [100] }]);
  pair.step("b: INFORMATIONAL request {D(TCP_AO 100)}");
  pair.step("a: INFORMATIONAL response {}");
  pair.createMkt("b", 7);
  pair.step();
  pair.step("a: CREATE_CHILD_SA response {N(TEMPORARY_FAILURE)}");
  assert.deepEqual(events.slice(before), []);
  assert.equal(pair.b.of("informed").length, 2);
});
