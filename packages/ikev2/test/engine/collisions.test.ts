import assert from "node:assert/strict";
import { test } from "node:test";
import { compareBytes } from "../../src/bytes/bytes.ts";
import type { IkePeer } from "../../src/index.ts";
import { type Packet, Pair, pskAuthRequest, pskAuthResponse, saInitRequest, saInitResponse } from "./pair.ts";
import { type End, otherEnd } from "./peers.ts";

/** Both ends begin; the messages cross in this order of ends. */
function simultaneous(seed: string, order: string): Pair {
  const pair = new Pair({ seed });
  pair.createMkt("a", 1);
  pair.createMkt("b", 2);
  let turns = order;
  while (pair.wire.length > 0) {
    const from = turns[0] === "b" ? "b" : "a";
    const index = Math.max(
      0,
      pair.wire.findIndex((packet) => packet.from === from),
    );
    const [packet] = pair.wire.splice(index, 1);
    if (packet !== undefined) pair.deliver(packet);
    turns = turns.slice(1) + turns.slice(0, 1);
  }
  return pair;
}

function assertOneSurvivor(pair: Pair): void {
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
  const [a, b] = [pair.a.endpoint.ikeSas()[0], pair.b.endpoint.ikeSas()[0]];
  assert.deepEqual([a?.initiatorSpi, a?.responderSpi], [b?.initiatorSpi, b?.responderSpi]);
  // Both MKTs are there, at both ends, and each was told of once
  pair.assertSameMkt(1);
  pair.assertSameMkt(100);
  for (const router of [pair.a, pair.b]) {
    assert.equal(router.of("mktNegotiated").length, 2);
    assert.deepEqual([router.of("mktFailed"), router.of("mktsDeleted")], [[], []]);
  }
  for (const router of [pair.a, pair.b]) {
    assert.equal(router.of("ikeSaEstablished").length - router.of("ikeSaClosed").length, 1);
  }
}

for (const order of ["ab", "aabb", "aaab", "abbb", "aaaabbbb", "ba", "abba", "aaabbbab"]) {
  test(`both ends begin an IKE SA, messages in the order ${order}: one stays (the rule of RFC 7296 section 2.8.1)`, () => {
    for (const seed of ["1", "2", "3", "4", "5"]) {
      const pair = simultaneous(seed, order);
      pair.elapse(1);
      assertOneSurvivor(pair);
    }
  });
}

test("the IKE SA with the lowest of the four nonces is closed by its creator", () => {
  for (const seed of ["1", "2", "3", "4", "5", "6"]) {
    const pair = simultaneous(seed, "ab");
    const mkts = pair.a.of("mktNegotiated");
    // The nonces of IKE_AUTH's MKT are those of IKE_SA_INIT
    const lowest = mkts
      .flatMap((mkt) => [mkt.nonces.initiator, mkt.nonces.responder].map((nonce) => ({ nonce, mkt })))
      .toSorted((x, y) => compareBytes(x.nonce, y.nonce))[0];
    assert.equal(pair.a.endpoint.ikeSas()[0]?.role, lowest?.mkt.isInitiator ? "responder" : "initiator");
    const creator = lowest?.mkt.isInitiator ? "a" : "b";
    const deletes = pair.sent.filter(({ text }) => text === "INFORMATIONAL request {D(IKE)}");
    assert.deepEqual(
      deletes.map(({ from }) => from),
      [creator],
    );
  }
});

test("requests that wait when both ends begin are all done in the one that stays", () => {
  for (const seed of ["1", "2", "3", "4"]) {
    const pair = new Pair({ seed });
    const requests = [
      pair.createMkt("a", 1),
      pair.createMkt("a", 3),
      pair.inform("a", [{ kind: "freeze", seconds: 1 }]),
    ];
    pair.createMkt("b", 2);
    pair.createMkt("b", 4);
    pair.elapse(10);
    assert.equal(requests.length, 3);
    assert.deepEqual([pair.a.of("mktFailed"), pair.b.of("mktFailed")], [[], []]);
    assert.equal(pair.a.of("mktNegotiated").length, 4);
    assert.equal(pair.b.of("mktNegotiated").length, 4);
    assert.equal(pair.a.of("informed").length, 1);
    assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
  }
});

test("simultaneous initiation with each single message lost once", () => {
  const count = simultaneous("1", "ab").sent.length;
  for (const seed of ["1", "2", "3"]) {
    for (let index = 0; index < count; index++) {
      const pair = new Pair({ seed });
      pair.createMkt("a", 1);
      pair.createMkt("b", 2);
      let seen = 0;
      pair.elapse(300, () => seen++ === index);
      assert.ok(pair.a.states.includes("established") && pair.b.states.includes("established"), `${seed} ${index}`);
      assert.equal(pair.a.states.length, pair.b.states.length);
      pair.assertSameMkt(1);
      assert.deepEqual([pair.a.of("mktFailed"), pair.b.of("mktFailed")], [[], []], `${seed} ${index}`);
    }
  }
});

test("both ends reauthenticate at once: one IKE SA stays", () => {
  const pair = Pair.established({
    settings: { jitter: 0 },
    a: { reauthenticateAfterSeconds: 1000 },
    b: { reauthenticateAfterSeconds: 1000 },
  });
  pair.elapse(1010);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
  assert.equal(pair.a.of("ikeSaEstablished").length, 3);
  assert.equal(pair.a.of("ikeSaClosed").length, 2);
  assert.equal(pair.b.of("ikeSaClosed").length, 2);
});

test("an IKE SA that is not needed any more, since the peer's came up first, is not finished", () => {
  const pair = new Pair();
  const requestId = pair.inform("a", [{ kind: "freeze", seconds: 1 }]);
  const own = pair.take();
  pair.createMkt("b", 2);
  pair.flush();
  assert.equal(pair.a.last("informed").requestId, requestId);
  pair.deliver(own);
  pair.flush();
  assert.deepEqual(pair.a.states, ["established"]);
  assert.deepEqual(pair.a.of("ikeSaFailed"), []);
  pair.elapse(60);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
  assert.deepEqual([pair.a.of("ikeSaClosed"), pair.b.of("ikeSaClosed")], [[], []]);
});

/**
 * Both ends begin. The IKE SA that b began is established at both; a's IKE_AUTH request is lost, and comes again after a
 * second. Who wins depends on the seed.
 */
function halfwayThroughTwo(seed: string, changes: Partial<Record<End, Partial<IkePeer>>> = {}): Pair {
  const pair = new Pair({ seed, settings: { jitter: 0 }, ...changes });
  pair.createMkt("b", 2);
  pair.createMkt("a", 1);
  //                            <--  HDR, SAi1, KEi, Ni
  pair.step(`b: ${saInitRequest}`);
  // HDR, SAi1, KEi, Ni  -->
  pair.step(`a: ${saInitRequest}`);
  // HDR, SAr1, KEr, Nr  -->
  pair.step(`a: ${saInitResponse}`);
  //                            <--  HDR, SAr1, KEr, Nr
  pair.step(`b: ${saInitResponse}`);
  //                            <--  HDR, SK {IDi, N(INITIAL_CONTACT), IDr, AUTH, SAi2, TSi, TSr}
  pair.step(`b: ${pskAuthRequest}`);
  // HDR, SK {IDi, N(INITIAL_CONTACT), IDr, AUTH, SAi2, TSi, TSr}  -->  (lost)
  pair.take(`a: ${pskAuthRequest}`);
  // HDR, SK {IDr, AUTH, SAr2, TSi, TSr}  -->
  pair.step(`a: ${pskAuthResponse}`);
  assert.deepEqual(
    [pair.a.states.toSorted(), pair.b.states.toSorted()],
    [
      ["authSent", "established"],
      ["established", "halfOpen"],
    ],
  );
  return pair;
}

/** Which end began the IKE SA with the lowest of the four nonces of IKE_SA_INIT. */
function creatorOfLower(pair: Pair): End {
  const lowest = (["a", "b"] as const).flatMap((end) => {
    const mkts = pair
      .router(end)
      .of("mktNegotiated")
      .filter(({ isInitiator }) => isInitiator);
    return mkts.flatMap(({ nonces }) => [nonces.initiator, nonces.responder].map((nonce) => ({ nonce, end })));
  });
  return lowest.toSorted((x, y) => compareBytes(x.nonce, y.nonce))[0]?.end ?? "a";
}

const seeds = ["1", "2", "3", "4", "5", "6"];

for (const end of ["a", "b"] as const) {
  const other = otherEnd(end);
  test(`both ends begin, and ${end} rekeys the first IKE SA before the second is up: one stays, by the nonces of IKE_SA_INIT (RFC 7296 section 2.8.1)`, () => {
    const creators = seeds.map((seed) => {
      const pair = halfwayThroughTwo(seed);
      pair.input(end, { kind: "rekeyIkeSa", peer: other });
      // HDR, SK {SA, Ni, KEi}  -->
      pair.step(`${end}: CREATE_CHILD_SA request {SA, N, KE}`);
      //                            <--  HDR, SK {SA, Nr, KEr}
      pair.step(`${other}: CREATE_CHILD_SA response {SA, N, KE}`);
      // HDR, SK {D}  -->
      pair.step(`${end}: INFORMATIONAL request {D(IKE)}`);
      //                            <--  HDR, SK {}
      pair.step(`${other}: INFORMATIONAL response {}`);
      pair.sent.length = 0;
      // HDR, SK {IDi, N(INITIAL_CONTACT), IDr, AUTH, SAi2, TSi, TSr}  -->
      //                            <--  HDR, SK {IDr, AUTH, SAr2, TSi, TSr}
      pair.elapse(2);
      assertOneSurvivor(pair);
      // HDR, SK {D}  -->, from whoever began the one with the lowest nonce, whoever rekeyed it
      const creator = creatorOfLower(pair);
      assert.deepEqual(
        pair.sent.filter(({ text }) => text.includes("request {D(IKE)}")).map(({ from }) => from),
        [creator],
      );
      assert.deepEqual([pair.a.of("ikeSaRekeyed").length, pair.b.of("ikeSaRekeyed").length], [1, 1]);
      return creator;
    });
    assert.deepEqual([...new Set(creators)].toSorted(), ["a", "b"]);
  });
}

/** Both ends go on; message number `lost` is lost, and before message number n those in `rekeys[n]` rekey. */
function goOn(pair: Pair, rekeys: Readonly<Record<number, readonly End[]>>, lost: number): void {
  let seen = 0;
  const rekey = () => {
    for (const end of rekeys[seen] ?? []) pair.input(end, { kind: "rekeyIkeSa", peer: otherEnd(end) });
  };
  rekey();
  pair.elapse(400, () => {
    const isLost = seen++ === lost;
    rekey();
    return isLost;
  });
}

for (const rekeyers of [["a"], ["b"], ["a", "b"], ["b", "a"]] as const) {
  test(`both ends begin, ${rekeyers.join(" and ")} rekey at any moment, any single message is lost: one stays (RFC 7296 sections 2.8.1, 2.8.2 and 2.25.2)`, () => {
    for (const seed of ["1", "2", "3"]) {
      for (let moment = 0; moment < 8; moment++) {
        for (let lost = -1; lost < 10; lost++) {
          const pair = halfwayThroughTwo(seed);
          const [first, second = []] = rekeyers;
          goOn(pair, { [moment]: [first], [moment + 1]: [second].flat() }, lost);
          assertOneSurvivor(pair);
        }
      }
    }
  });
}

test("a rekey is answered by the end that then learns that the IKE SA is the lesser of two: nothing of it stays (RFC 7296 section 2.25.2)", () => {
  const outcomes = seeds.map((seed) => {
    const pair = halfwayThroughTwo(seed);
    const isLate = ({ from, text }: Packet) => from === "b" && text.startsWith("CREATE_CHILD_SA response");
    pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
    // HDR, SK {SA, Ni, KEi}  -->
    //                            <--  HDR, SK {SA, Nr, KEr}  (lost, time and again)
    // HDR, SK {IDi, N(INITIAL_CONTACT), IDr, AUTH, SAi2, TSi, TSr}  -->
    //                            <--  HDR, SK {IDr, AUTH, SAr2, TSi, TSr}
    pair.elapse(2, isLate);
    const { states } = pair.a;
    //                            <--  HDR, SK {SA, Nr, KEr}
    pair.elapse(10);
    assertOneSurvivor(pair);
    return states.includes("redundant");
  });
  assert.ok(outcomes.includes(true) && outcomes.includes(false));
});

test("both ends begin, one is rekeyed, and the Delete of the lesser one is never answered: one stays, the same at both ends", () => {
  for (const end of ["a", "b"] as const) {
    for (const seed of seeds) {
      const pair = halfwayThroughTwo(seed);
      pair.input(end, { kind: "rekeyIkeSa", peer: otherEnd(end) });
      pair.flush();
      pair.elapse(60, ({ text }) => text === "INFORMATIONAL request {D(IKE)}");
      pair.elapse(300);
      assertOneSurvivor(pair);
    }
  }
});

test("both ends begin, one is rekeyed, and one end releases what is idle: nothing stays, and nobody is told of a failure", () => {
  for (const releasing of ["a", "b"] as const) {
    for (const end of ["a", "b"] as const) {
      for (const seed of seeds) {
        const pair = halfwayThroughTwo(seed, { [releasing]: { releaseAfterIdleSeconds: 30 } });
        pair.input(end, { kind: "rekeyIkeSa", peer: otherEnd(end) });
        pair.flush();
        pair.elapse(20);
        assertOneSurvivor(pair);
        pair.elapse(20);
        assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
        pair.createMkt("a", 3);
        pair.flush();
        pair.assertSameMkt(3);
      }
    }
  }
});

for (const end of ["a", "b"] as const) {
  for (const lost of ["IKE_SA_INIT", "IKE_AUTH"]) {
    test(`${end} rekeys the IKE SA while it is being reauthenticated, ${lost} lost: the new one takes its place at once (RFC 7296 section 2.8.3)`, () => {
      const pair = Pair.established({ settings: { jitter: 0 }, a: { reauthenticateAfterSeconds: 1000 } });
      pair.elapse(1000, ({ text }) => text.startsWith(`${lost} response`));
      assert.ok(pair.sent.some(({ text }) => text.startsWith(`${lost} response`)));
      pair.input(end, { kind: "rekeyIkeSa", peer: otherEnd(end) });
      pair.elapse(10);
      const [a, b] = [pair.a.endpoint.ikeSas(), pair.b.endpoint.ikeSas()];
      assert.deepEqual(
        a.map(({ initiatorSpi, state }) => [initiatorSpi, state]),
        b.map(({ initiatorSpi, state }) => [initiatorSpi, state]),
      );
      assert.deepEqual([a.length, a[0]?.state], [1, "established"]);
      for (const router of [pair.a, pair.b]) {
        assert.deepEqual([router.of("ikeSaEstablished").length, router.of("ikeSaClosed").length], [2, 1]);
      }
    });
  }
}
