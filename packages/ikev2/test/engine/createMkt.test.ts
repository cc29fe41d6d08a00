import assert from "node:assert/strict";
import { test } from "node:test";
import {
  IntegrityAlgorithm,
  KeyExchangeMethod,
  keyIdBitmapOf,
  keyIdsOf,
  type MktDecision,
  type MktTerms,
  NotifyType,
} from "../../src/index.ts";
import { Pair } from "./pair.ts";
import { termsOf } from "./peers.ts";

const { CURVE25519, ECP_256, ECP_384 } = KeyExchangeMethod;

/** b accepts with these terms. */
function accepting(pair: Pair, terms: Partial<MktTerms>): Pair {
  pair.b.policy.decide = () => ({
    kind: "accept",
    sendId: pair.b.policy.nextSendId++,
    terms: termsOf("b", terms),
    context: "r2",
  });
  return pair;
}

function refusing(pair: Pair, notifyType: number, data?: Uint8Array): Pair {
  const refusal: MktDecision = { kind: "refuse", notifyType, detail: "for the test", ...(data && { data }) };
  pair.b.policy.decide = () => refusal;
  return pair;
}

test("an MKT without PFS (RFC 7296 section 1.3.1)", () => {
  const pair = Pair.established();
  pair.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step("a: CREATE_CHILD_SA request {SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  //                                <--  HDR, SK {SA, Nr, TSi, TSr}
  pair.step("b: CREATE_CHILD_SA response {SA, N, TSi, TSr}");
  pair.assertSameMkt(2);
  assert.equal(pair.a.last("mktNegotiated").keyExchange, undefined);
});

test("an MKT with PFS (RFC 7296 sections 1.3.1 and 2.17)", () => {
  const pair = accepting(Pair.established(), { keyExchange: [CURVE25519] });
  pair.createMkt("a", 2, { terms: { keyExchange: [CURVE25519] } });
  // HDR, SK {SA, Ni, KEi, TSi, TSr}  -->
  pair.step("a: CREATE_CHILD_SA request {SA, N, KE, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  //                                <--  HDR, SK {SA, Nr, KEr, TSi, TSr}
  pair.step("b: CREATE_CHILD_SA response {SA, N, KE, TSi, TSr}");
  pair.assertSameMkt(2);
  assert.equal(pair.a.last("mktNegotiated").keyExchange, CURVE25519);
});

test("PFS with the group of the responder's choice: INVALID_KE_PAYLOAD, then again (RFC 7296 section 1.3)", () => {
  const pair = accepting(Pair.established(), { keyExchange: [ECP_256] });
  pair.createMkt("a", 2, { terms: { keyExchange: [CURVE25519, ECP_256] } });
  // HDR, SK {SA, Ni, KEi, TSi, TSr}  -->
  pair.step("a: CREATE_CHILD_SA request {SA, N, KE, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  //                                <--  HDR, SK {N(INVALID_KE_PAYLOAD)}
  pair.step("b: CREATE_CHILD_SA response {N(INVALID_KE_PAYLOAD)}");
  // HDR, SK {SA, Ni, KEi, TSi, TSr}  -->
  pair.step("a: CREATE_CHILD_SA request {SA, N, KE, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  //                                <--  HDR, SK {SA, Nr, KEr, TSi, TSr}
  pair.step("b: CREATE_CHILD_SA response {SA, N, KE, TSi, TSr}");
  pair.assertSameMkt(2);
  assert.equal(pair.a.last("mktNegotiated").keyExchange, ECP_256);
});

test("no common group for PFS: NO_PROPOSAL_CHOSEN, and the IKE SA stays", () => {
  const pair = accepting(Pair.established(), { keyExchange: [ECP_384] });
  pair.createMkt("a", 2, { terms: { keyExchange: [CURVE25519] } });
  // HDR, SK {SA, Ni, KEi, TSi, TSr}  -->
  pair.step();
  //                                <--  HDR, SK {N(NO_PROPOSAL_CHOSEN)}
  pair.step("b: CREATE_CHILD_SA response {N(NO_PROPOSAL_CHOSEN)}");
  assert.equal(pair.a.last("mktFailed").failure.reason, "noProposalChosen");
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
});

test("each algorithm has its key length (RFC 5926 section 3.1.1)", () => {
  const lengths = {
    [IntegrityAlgorithm.AUTH_AES_CMAC_96]: 16,
    [IntegrityAlgorithm.AUTH_HMAC_SHA1_96]: 20,
    [IntegrityAlgorithm.AUTH_HMAC_SHA2_256_128]: 32,
  };
  const pair = accepting(Pair.established(), { integrity: Object.keys(lengths).map(Number), tcpOptions: [0, 1] });
  let sendId = 10;
  for (const [integrity, length] of Object.entries(lengths)) {
    pair.createMkt("a", ++sendId, { terms: { integrity: [Number(integrity)], tcpOptions: [0] } });
    pair.flush();
    pair.assertSameMkt(sendId);
    assert.equal(pair.a.last("mktNegotiated").masterKey.length, length);
    assert.equal(pair.a.last("mktNegotiated").tcpOptions, 0);
  }
});

test("every MKT has a key of its own", () => {
  const pair = Pair.established();
  for (const sendId of [2, 3, 4]) pair.createMkt("a", sendId);
  pair.flush();
  const keys = pair.a.of("mktNegotiated").map((mkt) => mkt.masterKey.expose((key) => Buffer.from(key).toString("hex")));
  assert.equal(new Set(keys).size, 4);
});

test("rekey of an MKT: REKEY_SA names it by its sender's SendID (RFC 7296 section 1.3.3)", () => {
  const pair = Pair.established();
  const requestId = pair.createMkt("a", 2, { rekeys: 1 });
  // HDR, SK {N(REKEY_SA), SA, Ni, TSi, TSr}  -->
  pair.step("a: CREATE_CHILD_SA request {N(REKEY_SA), SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  assert.equal(pair.b.policy.asked.at(-1)?.rekeys, 1);
  //                                <--  HDR, SK {SA, Nr, TSi, TSr}
  pair.step("b: CREATE_CHILD_SA response {SA, N, TSi, TSr}");
  pair.assertSameMkt(2);
  assert.equal(pair.a.last("mktNegotiated").requestId, requestId);
  assert.equal(pair.a.last("mktNegotiated").replaces, 1);
  assert.equal(pair.b.last("mktNegotiated").replaces, 100);
});

test("an MKT that the IKE SA does not own is replaced by a plain new one", () => {
  const pair = Pair.established();
  pair.createMkt("a", 2, { rekeys: 77 });
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step("a: CREATE_CHILD_SA request {SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  pair.flush();
  assert.equal(pair.a.last("mktNegotiated").replaces, undefined);
});

test("REKEY_SA of an unknown MKT: CHILD_SA_NOT_FOUND, then a plain new one (RFC 7296 section 2.25)", () => {
  const pair = Pair.established();
  pair.createMkt("a", 2, { rekeys: 1 });
  // HDR, SK {N(REKEY_SA), SA, Ni, TSi, TSr}  -->
  const late = pair.take("a: CREATE_CHILD_SA request {N(REKEY_SA), SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  // Before it arrives, b deletes the MKT
  pair.inform("b", [{ kind: "deleteMkts", sendIds: [100] }]);
  pair.flush();
  pair.deliver(late);
  //                                <--  HDR, SK {N(CHILD_SA_NOT_FOUND)}
  pair.step("b: CREATE_CHILD_SA response {N(CHILD_SA_NOT_FOUND)}");
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step("a: CREATE_CHILD_SA request {SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  //                                <--  HDR, SK {SA, Nr, TSi, TSr}
  pair.step("b: CREATE_CHILD_SA response {SA, N, TSi, TSr}");
  pair.assertSameMkt(2);
});

test("an MKT survives its IKE SA; its successor is a plain new MKT under a new IKE SA", () => {
  const pair = Pair.established();
  pair.input("a", { kind: "closeIkeSa", peer: "b" });
  pair.flush();
  assert.deepEqual(pair.b.of("mktsDeleted"), []);
  pair.createMkt("a", 2, { rekeys: 1 });
  // HDR(A,0), SAi1, KEi, Ni  -->
  pair.step();
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  pair.step();
  // no REKEY_SA in IKE_AUTH
  // HDR, SK {IDi, N(INITIAL_CONTACT), IDr, AUTH, SAi2, TSi, TSr}  -->
  pair.step("a: IKE_AUTH request {IDi, N(INITIAL_CONTACT), IDr, AUTH, SA, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  //                                <--  HDR, SK {IDr, AUTH, SAr2, TSi, TSr}
  pair.step();
  pair.assertSameMkt(2);
});

test("the responder's answer waits until its MKT is on disk; meanwhile retransmissions are dropped", () => {
  const pair = Pair.established();
  pair.b.commits = false;
  pair.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  const request = pair.step();
  const { commitId } = pair.b.last("mktNegotiated");
  assert.ok(commitId !== undefined);
  pair.deliver(request);
  assert.deepEqual(pair.wire, []);
  assert.deepEqual(pair.b.endpoint.ikeSas()[0]?.mkts, [100]);
  pair.input("b", { kind: "commit", commitId });
  //                                <--  HDR, SK {SA, Nr, TSi, TSr}
  pair.step("b: CREATE_CHILD_SA response {SA, N, TSi, TSr}");
  pair.assertSameMkt(2);
  // Once is enough
  pair.input("b", { kind: "commit", commitId });
  pair.input("b", { kind: "abort", commitId, notifyType: NotifyType.NO_ADDITIONAL_SAS });
  assert.deepEqual(pair.wire, []);
});

test("an MKT that could not be stored is refused and forgotten", () => {
  const pair = Pair.established();
  pair.b.commits = false;
  pair.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step();
  pair.input("b", {
    kind: "abort",
    commitId: pair.b.last("mktNegotiated").commitId ?? 0,
    notifyType: NotifyType.NO_ADDITIONAL_SAS,
  });
  //                                <--  HDR, SK {N(NO_ADDITIONAL_SAS)}
  pair.step("b: CREATE_CHILD_SA response {N(NO_ADDITIONAL_SAS)}");
  assert.equal(pair.a.last("mktFailed").failure.notifyType, NotifyType.NO_ADDITIONAL_SAS);
  assert.deepEqual(pair.b.endpoint.ikeSas()[0]?.mkts, [100]);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
});

test("a commit that never comes: TEMPORARY_FAILURE, and the initiator tries again", () => {
  const pair = Pair.established();
  pair.b.commits = false;
  pair.createMkt("a", 2);
  pair.elapse(21);
  assert.ok(pair.sent.some(({ text }) => text === "CREATE_CHILD_SA response {N(TEMPORARY_FAILURE)}"));
  pair.b.commits = true;
  pair.elapse(10);
  pair.assertSameMkt(2);
});

test("in IKE_AUTH the answer waits too, and we send no requests before it", () => {
  const pair = new Pair();
  pair.b.commits = false;
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  // HDR, SK {IDi, N(INITIAL_CONTACT), IDr, AUTH, SAi2, TSi, TSr}  -->
  for (let count = 0; count < 3; count++) pair.step();
  assert.deepEqual(pair.b.states, ["established"]);
  pair.inform("b", [{ kind: "freeze", seconds: 1 }]);
  assert.deepEqual(pair.wire, []);
  pair.input("b", { kind: "commit", commitId: pair.b.last("mktNegotiated").commitId ?? 0 });
  //                                <--  HDR, SK {IDr, AUTH, SAr2, TSi, TSr}
  pair.step("b: IKE_AUTH response {IDr, AUTH, SA, TSi, TSr}");
  //                                <--  HDR, SK {N(KMP_FREEZE)}
  pair.step("b: INFORMATIONAL request {N(KMP_FREEZE)}");
  pair.flush();
  pair.assertSameMkt(1);
});

for (const [name, refuse, reason] of [
  ["NO_PROPOSAL_CHOSEN", NotifyType.NO_PROPOSAL_CHOSEN, "noProposalChosen"],
  ["TS_UNACCEPTABLE", NotifyType.TS_UNACCEPTABLE, "refusedByPeer"],
  ["NO_ADDITIONAL_SAS", NotifyType.NO_ADDITIONAL_SAS, "refusedByPeer"],
] as const) {
  test(`${name} in IKE_AUTH: the IKE SA is established all the same (RFC 7296 section 2.21.2)`, () => {
    const pair = refusing(new Pair(), refuse);
    pair.createMkt("a", 1);
    // HDR(A,0), SAi1, KEi, Ni  -->
    //                                <--  HDR(A,B), SAr1, KEr, Nr
    // HDR, SK {IDi, N(INITIAL_CONTACT), IDr, AUTH, SAi2, TSi, TSr}  -->
    for (let count = 0; count < 3; count++) pair.step();
    //                                <--  HDR, SK {IDr, AUTH, N(…)}
    pair.step(`b: IKE_AUTH response {IDr, AUTH, N(${name})}`);
    assert.equal(pair.a.last("mktFailed").failure.reason, reason);
    assert.equal(pair.a.last("mktFailed").failure.notifyType, refuse);
    assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
  });
}

for (const [name, refuse, reason] of [
  ["INVALID_SYNTAX", NotifyType.INVALID_SYNTAX, "refusedByPeer"],
  ["UNSUPPORTED_CRITICAL_PAYLOAD", NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, "refusedByPeer"],
  ["AUTHENTICATION_FAILED", NotifyType.AUTHENTICATION_FAILED, "authenticationFailed"],
] as const) {
  test(`${name} beside a good AUTH in IKE_AUTH: no IKE SA, and no Delete (RFC 7296 section 2.21.2)`, () => {
    const pair = refusing(new Pair(), refuse);
    pair.createMkt("a", 1);
    // HDR(A,0), SAi1, KEi, Ni  -->
    //                                <--  HDR(A,B), SAr1, KEr, Nr
    // HDR, SK {IDi, N(INITIAL_CONTACT), IDr, AUTH, SAi2, TSi, TSr}  -->
    for (let count = 0; count < 3; count++) pair.step();
    //                                <--  HDR, SK {IDr, AUTH, N(…)}
    pair.step(`b: IKE_AUTH response {IDr, AUTH, N(${name})}`);
    assert.equal(pair.a.last("mktFailed").failure.reason, reason);
    assert.equal(pair.a.last("ikeSaFailed").failure.notifyType, refuse);
    assert.deepEqual(pair.a.of("ikeSaEstablished"), []);
    assert.deepEqual([pair.a.states, pair.wire], [[], []]);
  });
}

test("KEYID_IN_USE says which SendIDs would not do either", () => {
  const taken = keyIdBitmapOf([2, 5]);
  const pair = refusing(Pair.established(), NotifyType.KEYID_IN_USE, taken);
  pair.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step();
  //                                <--  HDR, SK {N(KEYID_IN_USE)}
  pair.step("b: CREATE_CHILD_SA response {N(KEYID_IN_USE)}");
  assert.equal(pair.a.last("mktFailed").failure.notifyType, NotifyType.KEYID_IN_USE);
  assert.deepEqual(keyIdsOf(pair.a.last("mktFailed").takenByPeer ?? keyIdBitmapOf([])), [2, 5]);
});

test("KMP_KEYIDS_TAKEN reaches the responder's policy", () => {
  const pair = Pair.established();
  pair.createMkt("a", 2, { taken: keyIdBitmapOf([100, 200]) });
  pair.flush();
  assert.deepEqual(keyIdsOf(pair.b.policy.asked.at(-1)?.taken ?? keyIdBitmapOf([])), [100, 200]);
});

test("a responder that chooses a KeyID that is taken here is not believed, and told to forget the MKT", () => {
  const pair = Pair.established();
  pair.b.policy.nextSendId = 200;
  pair.createMkt("a", 2, { taken: keyIdBitmapOf([200]) });
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step();
  //                                <--  HDR, SK {SA, Nr, TSi, TSr}
  pair.step();
  assert.equal(pair.a.last("mktFailed").failure.reason, "invalidResponse");
  // HDR, SK {D(TCP_AO 2)}  -->
  pair.step("a: INFORMATIONAL request {D(TCP_AO 2)}");
  //                                <--  HDR, SK {D(TCP_AO 200)}
  pair.step("b: INFORMATIONAL response {D(TCP_AO 200)}");
  assert.deepEqual(pair.b.last("mktsDeleted").recvIds, [2]);
});

test("the responder narrows the traffic selectors (RFC 7296 section 2.9)", () => {
  const [both] = [termsOf("b")];
  const pair = accepting(Pair.established(), { localSelectors: both.localSelectors.slice(0, 1) });
  pair.createMkt("a", 2);
  pair.flush();
  pair.assertSameMkt(2);
  assert.equal(pair.a.last("mktNegotiated").remoteSelectors.length, 1);
  assert.equal(pair.a.last("mktNegotiated").localSelectors.length, 2);
});

test("no traffic in common: TS_UNACCEPTABLE (RFC 7296 section 2.9)", () => {
  const pair = accepting(Pair.established(), { localSelectors: termsOf("a").localSelectors });
  pair.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step();
  //                                <--  HDR, SK {N(TS_UNACCEPTABLE)}
  pair.step("b: CREATE_CHILD_SA response {N(TS_UNACCEPTABLE)}");
  assert.equal(pair.a.last("mktFailed").failure.notifyType, NotifyType.TS_UNACCEPTABLE);
});

test("an answer with wider selectors than were offered is refused (RFC 7296 section 2.9)", () => {
  const pair = Pair.established();
  pair.createMkt("a", 2, { terms: { localSelectors: termsOf("a").localSelectors.slice(0, 1) } });
  // Port 179 becomes 0-179 in the answer: TSi is the last but one payload, one selector of 16 octets
  pair.b.crypto.tamper = (plaintext) => {
    const startPort = plaintext.findLastIndex(
      (octet, index) => octet === 0 && plaintext[index + 1] === 179 && plaintext[index + 3] === 179,
    );
    assert.ok(startPort > 0);
    for (let index = 0; index < plaintext.length - 3; index++) {
      if (plaintext[index] === 0 && plaintext[index + 1] === 179 && plaintext[index + 3] === 179)
        plaintext[index + 1] = 0;
    }
  };
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step();
  //                                <--  HDR, SK {SA, Nr, TSi, TSr}
  pair.step();
  assert.equal(pair.a.last("mktFailed").failure.reason, "invalidResponse");
  assert.match(pair.a.last("mktFailed").failure.detail, /widened/);
});

test("TEMPORARY_FAILURE is retried after a while, by the engine (RFC 7296 section 2.25)", () => {
  const pair = refusing(Pair.established(), NotifyType.TEMPORARY_FAILURE);
  pair.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step();
  //                                <--  HDR, SK {N(TEMPORARY_FAILURE)}
  pair.step("b: CREATE_CHILD_SA response {N(TEMPORARY_FAILURE)}");
  assert.deepEqual(pair.wire, []);
  assert.deepEqual(pair.a.of("mktFailed"), []);
  pair.b.policy.decide = undefined;
  pair.elapse(4);
  assert.equal(pair.b.policy.asked.length, 2);
  pair.elapse(7); // 5 to 10 s after the refusal
  pair.assertSameMkt(2);
});

test("TEMPORARY_FAILURE over minutes: the request fails and the IKE SA is closed (RFC 7296 section 2.25)", () => {
  const pair = refusing(Pair.established(), NotifyType.TEMPORARY_FAILURE);
  pair.createMkt("a", 2);
  pair.elapse(300);
  assert.equal(pair.a.last("mktFailed").failure.notifyType, NotifyType.TEMPORARY_FAILURE);
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
});

test("ESP is not what we make: NO_PROPOSAL_CHOSEN", () => {
  const pair = Pair.established();
  pair.createMkt("a", 2);
  // The octets of an ESP proposal instead: protocol 3, SPI size 4, two transforms that ESP might have
  const request = pair.wire[0];
  assert.ok(request);
  pair.wire.length = 0;
  const [policyBefore] = [pair.b.policy.asked.length];
  const again = Pair.established();
  again.a.crypto.tamper = (plaintext) => {
    // SA generic header (4), proposal header: last, reserved, length (2), number, protocol, SPI size, transforms
    assert.equal(plaintext[9], 201);
    plaintext[9] = 202;
  };
  again.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  again.step();
  //                                <--  HDR, SK {N(NO_PROPOSAL_CHOSEN)}
  again.step("b: CREATE_CHILD_SA response {N(NO_PROPOSAL_CHOSEN)}");
  assert.equal(again.b.policy.asked.length, policyBefore);
});

test("without TS payloads the responder's policy decides what is meant (draft-mahesh-karp-rkmp figure 4)", () => {
  const pair = Pair.established();
  // The payload before TSi says that nothing follows, and its own length takes in the rest: as an unknown payload
  pair.a.crypto.tamper = (plaintext) => {
    // SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN): TSi and TSr get types that nobody knows (not critical)
    let offset = 0;
    let type = 33;
    while (offset + 4 <= plaintext.length - 1 && type !== 0) {
      const next = plaintext[offset] ?? 0;
      if (next === 44 || next === 45) plaintext[offset] = next + 150;
      type = next;
      offset += ((plaintext[offset + 2] ?? 0) << 8) | (plaintext[offset + 3] ?? 0);
    }
  };
  pair.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step();
  const asked = pair.b.policy.asked.at(-1);
  assert.equal(asked?.localSelectors, undefined);
  assert.equal(asked?.remoteSelectors, undefined);
  assert.deepEqual(pair.b.last("mktNegotiated").localSelectors, termsOf("b").localSelectors);
  //                                <--  HDR, SK {SA, Nr}
  pair.step("b: CREATE_CHILD_SA response {SA, N}");
});

test("abandon: the caller is told, and what the peer made meanwhile is deleted again", () => {
  const pair = Pair.established();
  const requestId = pair.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step();
  pair.input("a", { kind: "abandon", requestId });
  assert.equal(pair.a.last("mktFailed").failure.reason, "abandoned");
  //                                <--  HDR, SK {SA, Nr, TSi, TSr}
  pair.step("b: CREATE_CHILD_SA response {SA, N, TSi, TSr}");
  // HDR, SK {D(TCP_AO 2)}  -->
  pair.step("a: INFORMATIONAL request {D(TCP_AO 2)}");
  pair.flush();
  assert.deepEqual(pair.b.last("mktsDeleted").recvIds, [2]);
  assert.equal(pair.a.of("mktNegotiated").length, 1);
});

test("abandon while it waits: nothing is sent for it", () => {
  const pair = new Pair();
  const [first, second] = [pair.createMkt("a", 1), pair.createMkt("a", 2)];
  assert.ok(first !== second);
  pair.input("a", { kind: "abandon", requestId: second });
  pair.flush();
  assert.deepEqual(
    pair.b.policy.asked.map(({ recvId }) => recvId),
    [1],
  );
});

test("a peer that is not configured", () => {
  const pair = new Pair();
  const requestId = pair.createMkt("a", 1, { peer: "nobody" });
  assert.deepEqual(pair.a.last("mktFailed"), {
    kind: "mktFailed",
    peer: "nobody",
    requestId,
    failure: { reason: "peerUnknown", detail: "no such peer is configured" },
  });
});

test("events come before what is sent: what a response promises can be stored first", () => {
  const pair = Pair.established();
  pair.createMkt("a", 2);
  pair.inform("a", [{ kind: "freeze", seconds: 1 }]);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step();
  //                                <--  HDR, SK {SA, Nr, TSi, TSr}
  const kinds = pair.deliver(pair.take()).map((effect) => effect.kind);
  assert.deepEqual(kinds, ["event", "send"]);
});

test("a commit for an IKE SA that is gone meanwhile does nothing", () => {
  const pair = Pair.established();
  pair.b.commits = false;
  pair.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step();
  pair.input("b", { kind: "closeIkeSa", peer: "a" });
  pair.flush();
  pair.input("b", { kind: "commit", commitId: pair.b.last("mktNegotiated").commitId ?? 0 });
  assert.deepEqual(
    pair.wire.filter(({ text }) => text.startsWith("CREATE_CHILD_SA response")),
    [],
  );
});

test("an abandoned request is not repeated after TEMPORARY_FAILURE", () => {
  const pair = refusing(Pair.established(), NotifyType.TEMPORARY_FAILURE);
  const requestId = pair.createMkt("a", 2);
  pair.flush();
  pair.input("a", { kind: "abandon", requestId });
  pair.input("a", { kind: "closeIkeSa", peer: "b" });
  pair.flush();
  pair.sent.length = 0;
  pair.elapse(10);
  assert.deepEqual(pair.sent, []);
});

test("a peer that deletes every IKE SA before it answers: the request fails after a few", () => {
  const pair = Pair.established();
  const requestId = pair.createMkt("a", 2);
  let closed = 0;
  pair.elapse(30, ({ from, text }) => {
    if (from !== "a" || !(text.startsWith("CREATE_CHILD_SA") || text.startsWith("IKE_AUTH"))) return false;
    // The MKT is refused for now in IKE_AUTH, asked for again in CREATE_CHILD_SA, and then comes the Delete
    if (text.startsWith("IKE_AUTH")) refusing(pair, NotifyType.TEMPORARY_FAILURE);
    else {
      closed++;
      pair.input("b", { kind: "closeIkeSa", peer: "a" });
    }
    return text.startsWith("CREATE_CHILD_SA");
  });
  assert.equal(pair.a.last("mktFailed").requestId, requestId);
  assert.equal(pair.a.last("mktFailed").failure.reason, "ikeSaClosed");
  assert.equal(closed, 4);
});

test("a policy that has no such MKT: CHILD_SA_NOT_FOUND names it as REKEY_SA did (RFC 7296 section 2.25)", () => {
  const pair = refusing(Pair.established(), NotifyType.CHILD_SA_NOT_FOUND);
  pair.createMkt("a", 2, { rekeys: 1 });
  // HDR, SK {N(REKEY_SA), SA, Ni, TSi, TSr}  -->
  let answer = new Uint8Array();
  pair.b.crypto.tamper = (plaintext) => {
    answer = plaintext.slice();
  };
  //                                <--  HDR, SK {N(CHILD_SA_NOT_FOUND)}
  pair.step();
  // Next Payload, flags, length; Protocol ID TCP_AO, SPI Size, Notify Message Type 44, SPI: RFC 7296 section 3.10
  assert.deepEqual([...answer.subarray(0, 9)], [0, 0, 0, 9, 201, 1, 0, 44, 1]);
});
