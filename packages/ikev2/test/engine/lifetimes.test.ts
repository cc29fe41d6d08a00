/** KMP_KEY_LIFETIME in the exchange that makes an MKT: docs/protocol/private-code-points.md. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KeyLifetime, MktDecision } from "../../src/index.ts";
import { Pair, pskAuthRequest } from "./pair.ts";
import { termsOf } from "./peers.ts";

const ofA: KeyLifetime = { softSeconds: 2_592_000, hardSeconds: 7_776_000 };
const ofB: KeyLifetime = { softSeconds: 600, hardSeconds: 1200 };

/** b tells its own. */
function telling(pair: Pair, lifetime: KeyLifetime = ofB): Pair {
  pair.b.policy.decide = (): MktDecision => ({
    kind: "accept",
    sendId: pair.b.policy.nextSendId++,
    terms: termsOf("b"),
    context: "r2",
    lifetime,
  });
  return pair;
}

test("in CREATE_CHILD_SA each end tells its lifetimes, and hears the other's", () => {
  const pair = telling(Pair.established());
  pair.createMkt("a", 2, { lifetime: ofA });
  // HDR, SK {SA, Ni, TSi, TSr, N(KMP_KEYIDS_TAKEN), N(KMP_KEY_LIFETIME)}  -->
  pair.step("a: CREATE_CHILD_SA request {SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN), N(KMP_KEY_LIFETIME)}");
  //                                <--  HDR, SK {SA, Nr, TSi, TSr, N(KMP_KEY_LIFETIME)}
  pair.step("b: CREATE_CHILD_SA response {SA, N, TSi, TSr, N(KMP_KEY_LIFETIME)}");
  assert.deepEqual(pair.b.policy.asked.at(-1)?.peerLifetime, ofA, "known before b decides");
  const [atA, atB] = [pair.a.last("mktNegotiated"), pair.b.last("mktNegotiated")];
  assert.deepEqual([atA.lifetime, atA.peerLifetime], [ofA, ofB]);
  assert.deepEqual([atB.lifetime, atB.peerLifetime], [ofB, ofA]);
});

test("in IKE_AUTH too", () => {
  const pair = telling(new Pair());
  pair.createMkt("a", 2, { lifetime: ofA });
  pair.step();
  pair.step();
  pair.step(`a: ${pskAuthRequest.replace("}", ", N(KMP_KEY_LIFETIME)}")}`);
  pair.step("b: IKE_AUTH response {IDr, AUTH, SA, TSi, TSr, N(KMP_KEY_LIFETIME)}");
  assert.deepEqual(pair.a.last("mktNegotiated").peerLifetime, ofB);
  assert.deepEqual(pair.b.last("mktNegotiated").peerLifetime, ofA);
});

test("an end that has none to tell says nothing", () => {
  const pair = Pair.established();
  pair.createMkt("a", 2);
  pair.step("a: CREATE_CHILD_SA request {SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
  pair.step("b: CREATE_CHILD_SA response {SA, N, TSi, TSr}");
  assert.equal(pair.b.policy.asked.at(-1)?.peerLifetime, undefined);
});

for (const [name, lifetime, why] of [
  ["soft of nothing", { softSeconds: 0, hardSeconds: 0 }, "a soft lifetime of 0 s"],
  ["soft behind hard", { softSeconds: 11, hardSeconds: 10 }, "soft 11 s is longer than hard 10 s"],
  ["136 years", { softSeconds: 1, hardSeconds: 0xffffffff }, "hard 4294967295 s is longer than ten years"],
] as const) {
  test(`a hint that makes no sense is ignored, with a line in the log: ${name}`, () => {
    const pair = telling(Pair.established());
    pair.createMkt("a", 2, { lifetime });
    pair.flush();
    pair.assertSameMkt(2);
    assert.equal(pair.b.last("mktNegotiated").peerLifetime, undefined);
    const line = pair.b.logs.find((each) => each.name === "lifetimeIgnored");
    assert.equal(line?.detail, `KMP_KEY_LIFETIME is ignored: ${why}`);
    assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
  });
}

test("a hint of another length is ignored, with a line in the log", () => {
  const pair = telling(Pair.established());
  pair.a.crypto.tamper = (plaintext) => {
    const type = plaintext.findIndex((octet, index) => octet === 0xbe && plaintext[index + 1] === 0x02);
    assert.ok(type > 0 && plaintext[type - 3] === 16);
    // One octet of the data becomes padding
    plaintext[type - 3] = 15;
    plaintext[plaintext.length - 1] = (plaintext.at(-1) ?? 0) + 1;
  };
  pair.createMkt("a", 2, { lifetime: ofA });
  pair.flush();
  pair.assertSameMkt(2);
  const line = pair.b.logs.find((each) => each.name === "lifetimeIgnored");
  assert.equal(line?.detail, "KMP_KEY_LIFETIME is ignored: 7 octets");
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
});
