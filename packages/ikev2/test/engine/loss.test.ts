import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { KeyExchangeMethod, type SigningKey } from "../../src/index.ts";
import { Pair } from "./pair.ts";
import { ed25519Key } from "./peers.ts";

/** Stories that have to end the same, whatever happens to any single message. */
const stories: Readonly<
  Record<
    string,
    { readonly begin: () => Pair; readonly act: (pair: Pair) => void; readonly check: (pair: Pair) => void }
  >
> = {
  // HDR(A,0), SAi1, KEi, Ni  -->
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  // HDR, SK {IDi, N(INITIAL_CONTACT), IDr, AUTH, SAi2, TSi, TSr}  -->
  //                                <--  HDR, SK {IDr, AUTH, SAr2, TSi, TSr}
  "IKE_SA_INIT and IKE_AUTH": {
    begin: () => new Pair(),
    act: (pair) => void pair.createMkt("a", 1),
    check: (pair) => pair.assertSameMkt(1),
  },
  // HDR(A,0), SAi1, KEi, Ni  -->
  //                                <--  HDR(A,B), SAr1, KEr, Nr, CERTREQ, CERTREQ
  // HDR, SK {IDi, CERT, N(INITIAL_CONTACT), CERTREQ, CERTREQ, IDr, AUTH, SAi2, TSi, TSr}  -->
  //                                <--  HDR, SK {IDr, CERT, AUTH, SAr2, TSi, TSr}
  "raw public keys": {
    begin: () => {
      const [a, b] = [ed25519Key(), ed25519Key()];
      const pinned = (key: SigningKey) => ({
        kind: "pinned" as const,
        fingerprints: [Uint8Array.from(createHash("sha256").update(key.publicKey).digest())],
      });
      const own = (key: SigningKey) => ({ kind: "signature" as const, key, certificates: [] });
      return new Pair({
        a: { localAuthentication: own(a), remoteAuthentication: pinned(b) },
        b: { localAuthentication: own(b), remoteAuthentication: pinned(a) },
      });
    },
    act: (pair) => void pair.createMkt("a", 1),
    check: (pair) => pair.assertSameMkt(1),
  },
  // HDR(A,0), SAi1, KEi, Ni  -->
  //                                <--  HDR(A,0), N(COOKIE)
  // HDR(A,0), N(COOKIE), SAi1, KEi, Ni  -->
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  // HDR, SK {IDi, N(INITIAL_CONTACT), IDr, AUTH, SAi2, TSi, TSr}  -->
  //                                <--  HDR, SK {IDr, AUTH, SAr2, TSi, TSr}
  "with a cookie": {
    begin: () => new Pair({ settings: { cookieThreshold: 0 } }),
    act: (pair) => void pair.createMkt("a", 1),
    check: (pair) => pair.assertSameMkt(1),
  },
  // HDR, SK {SA, Ni, KEi, TSi, TSr}  -->
  //                                <--  HDR, SK {SA, Nr, KEr, TSi, TSr}
  "CREATE_CHILD_SA with PFS": {
    begin: () => withPfs(),
    act: (pair) => void pair.createMkt("a", 2, { terms: { keyExchange: [KeyExchangeMethod.CURVE25519] } }),
    check: (pair) => pair.assertSameMkt(2),
  },
  //                                <--  HDR, SK {N(REKEY_SA), SA, Ni, TSi, TSr}
  // HDR, SK {SA, Nr, TSi, TSr}  -->
  "rekey of an MKT by the responder of the IKE SA": {
    begin: () => Pair.established(),
    act: (pair) => void pair.createMkt("b", 7, { rekeys: 100 }),
    check: (pair) => {
      assert.equal(pair.a.last("mktNegotiated").recvId, 7);
      assert.equal(pair.a.last("mktNegotiated").replaces, 1);
      assert.equal(pair.b.last("mktNegotiated").replaces, 100);
    },
  },
  //                                <--  HDR, SK {SA, Ni, KEi}
  // HDR, SK {SA, Nr, KEr}  -->
  //                                <--  HDR, SK {D(IKE)}
  // HDR, SK {}  -->
  "rekey of the IKE SA, and its delete": {
    begin: () => Pair.established(),
    act: (pair) => pair.input("b", { kind: "rekeyIkeSa", peer: "a" }) && undefined,
    check: (pair) => {
      assert.equal(pair.a.of("ikeSaRekeyed").length, 1);
      assert.equal(pair.b.of("ikeSaRekeyed").length, 1);
      assert.deepEqual(pair.a.endpoint.ikeSas()[0]?.mkts, [1]);
      assert.deepEqual(pair.b.endpoint.ikeSas()[0]?.mkts, [100]);
    },
  },
  //                                <--  HDR, SK {N(KMP_KEY_STATE)}
  // HDR, SK {}  -->
  //                                <--  HDR, SK {D(TCP_AO 100)}
  // HDR, SK {D(TCP_AO 1)}  -->
  "INFORMATIONAL with KEY_STATE and D": {
    begin: () => Pair.established(),
    act: (pair) => {
      pair.inform("b", [{ kind: "keyState", sendId: 100, state: 1, reason: "in" }]);
      pair.inform("b", [{ kind: "deleteMkts", sendIds: [100] }]);
    },
    check: (pair) => {
      assert.equal(pair.a.of("keyState").length, 1);
      assert.deepEqual(
        pair.a.of("mktsDeleted").map(({ recvIds }) => recvIds),
        [[100]],
      );
      assert.equal(pair.b.of("informed").length, 2);
    },
  },
};

function withPfs(): Pair {
  const pair = Pair.established();
  pair.b.policy.decide = (request) => {
    const { decide } = pair.b.policy;
    pair.b.policy.decide = undefined;
    const decision = pair.b.policy.consider(request);
    pair.b.policy.decide = decide;
    if (decision.kind === "refuse") return decision;
    return { ...decision, terms: { ...decision.terms, keyExchange: [KeyExchangeMethod.CURVE25519] } };
  };
  return pair;
}

/** One IKE SA at each end and it works. */
function assertQuiet(pair: Pair): void {
  pair.elapse(130);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
  const requestId = pair.inform("a", [{ kind: "freeze", seconds: 1 }], false);
  pair.flush();
  assert.equal(pair.a.last("informed").requestId, requestId);
  for (const router of [pair.a, pair.b]) assert.deepEqual(router.of("mktFailed"), []);
}

for (const [name, story] of Object.entries(stories)) {
  const plain = story.begin();
  plain.sent.length = 0;
  story.act(plain);
  plain.elapse(1);
  const count = plain.sent.length;
  assert.ok(count >= 2);
  for (let index = 0; index < count; index++) {
    const message = plain.sent[index]?.text ?? "";
    test(`${name}: message ${index + 1} (${message}) is lost once (RFC 7296 section 2.1)`, () => {
      const pair = story.begin();
      let seen = 0;
      story.act(pair);
      pair.elapse(60, () => seen++ === index);
      story.check(pair);
      assertQuiet(pair);
    });
    test(`${name}: message ${index + 1} (${message}) comes twice`, () => {
      const pair = story.begin();
      story.act(pair);
      for (let seen = 0; pair.wire.length > 0; seen++) {
        const packet = pair.step();
        if (seen === index) pair.deliver(packet);
      }
      pair.elapse(60);
      story.check(pair);
      assertQuiet(pair);
    });
    test(`${name}: message ${index + 1} (${message}) comes again at the end`, () => {
      const pair = story.begin();
      const kept = [];
      story.act(pair);
      while (pair.wire.length > 0) kept.push(pair.step());
      const again = kept[index];
      if (again !== undefined) pair.deliver(again);
      pair.elapse(60);
      story.check(pair);
      assertQuiet(pair);
    });
  }
}

test("a request is sent six times with growing pauses, each time the same; then the attempt fails", () => {
  const pair = new Pair();
  const requestId = pair.createMkt("a", 1);
  const times: number[] = [];
  pair.elapse(60, () => {
    times.push(pair.milliseconds);
    return true;
  });
  // 1 s x 1.8
  assert.deepEqual(
    times.map((time) => Math.round(time) / 1000),
    [0, 1, 2.8, 6.04, 11.872, 22.37],
  );
  assert.equal(new Set(pair.sent.map(({ data }) => Buffer.from(data).toString("hex"))).size, 1);
  assert.equal(pair.a.last("mktFailed").requestId, requestId);
  assert.equal(pair.a.last("mktFailed").failure.reason, "timeout");
  assert.deepEqual(pair.a.states, []);
  assert.equal(pair.a.endpoint.nextDeadline(), undefined);
});

test("a peer that is silent is dead after the last try: the IKE SA is closed, MKTs are not touched (section 2.4)", () => {
  const pair = Pair.established();
  const requestId = pair.inform("a", [{ kind: "freeze", seconds: 1 }]);
  pair.elapse(60, () => true);
  assert.equal(pair.a.last("informFailed").requestId, requestId);
  assert.equal(pair.a.last("informFailed").failure.reason, "timeout");
  assert.equal(pair.a.last("ikeSaClosed").failure?.reason, "timeout");
  assert.deepEqual(pair.a.states, []);
  assert.equal(pair.a.of("mktsDeleted").length, 0);
  // The next request begins a new IKE SA
  pair.createMkt("a", 2);
  pair.flush();
  pair.assertSameMkt(2);
});

test("requests wait for the window of one (RFC 7296 section 2.3)", () => {
  const pair = Pair.established();
  pair.createMkt("a", 2);
  pair.createMkt("a", 3);
  pair.inform("a", [{ kind: "freeze", seconds: 1 }]);
  assert.equal(pair.wire.length, 1);
  assert.equal(pair.a.endpoint.ikeSas()[0]?.queued, 2);
  pair.flush();
  pair.assertSameMkt(2);
  pair.assertSameMkt(3);
  assert.equal(pair.a.of("informed").length, 1);
});

test("both ends ask at the same time: each has its own window (RFC 7296 section 2.2)", () => {
  const pair = Pair.established();
  pair.createMkt("a", 2);
  pair.createMkt("b", 7);
  pair.flush();
  pair.assertSameMkt(2);
  assert.equal(pair.a.of("mktNegotiated").at(-1)?.isInitiator, true);
  assert.equal(pair.b.of("mktNegotiated").filter((mkt) => mkt.isInitiator).length, 1);
});
