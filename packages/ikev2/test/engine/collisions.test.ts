import assert from "node:assert/strict";
import { test } from "node:test";
import { compareBytes } from "../../src/bytes/bytes.ts";
import { Pair } from "./pair.ts";

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
  assert.equal(a?.initiatorSpi, b?.initiatorSpi);
  // Both MKTs are there, at both ends
  pair.assertSameMkt(1);
  for (const router of [pair.a, pair.b]) assert.equal(router.of("mktNegotiated").length, 2);
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
