/** What a peer, or somebody at its address, can make us remember and do: everything has a bound. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeMessage,
  type EngineSettings,
  encodeMessage,
  NotifyType,
  type Payload,
  UsageError,
} from "../../src/index.ts";
import { Pair, saInitRequest } from "./pair.ts";
import { aesGcm, otherEnd, peerOf, termsOf } from "./peers.ts";

/** A genuine IKE_SA_INIT request of a's, taken from the wire. */
function genuineRequest(pair: Pair): Uint8Array {
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  return pair.take(`a: ${saInitRequest}`).data;
}

/** The same with another SPI: what somebody at a's address can send as often as he likes. */
function withSpi(data: Uint8Array, spi: number): Uint8Array {
  const copy = data.slice();
  new DataView(copy.buffer).setBigUint64(0, BigInt(spi));
  return copy;
}

function changed(data: Uint8Array, change: (payloads: readonly Payload[]) => readonly Payload[]): Uint8Array {
  const { header, payloads } = decodeMessage(data);
  return encodeMessage(header, change(payloads));
}

/** b receives it from a's address, or from that of another of its peers. */
function toB(pair: Pair, data: Uint8Array, address = "10.0.0.1"): void {
  pair.input("b", { kind: "datagram", local: peerOf("b").local, remote: { address, port: 500 }, data });
}

function halfOpen(pair: Pair): number {
  return pair.b.states.filter((state) => state === "halfOpen").length;
}

test("one address gets few half-open IKE SAs without a cookie, and not all places with one (RFC 7296 section 2.6)", () => {
  const settings: Partial<EngineSettings> = {
    cookieThreshold: 100,
    cookieThresholdPerAddress: 3,
    halfOpenLimitPerAddress: 5,
  };
  const pair = new Pair({ settings });
  const other = peerOf("b", { name: "c", remote: { address: "10.0.0.3", port: 500 } });
  pair.input("b", { kind: "configure", peers: [peerOf("b"), other] });
  const request = genuineRequest(pair);
  for (let spi = 1; spi <= 4; spi++) toB(pair, withSpi(request, spi));
  assert.equal(halfOpen(pair), 3);
  assert.equal(pair.wire.at(-1)?.text, "IKE_SA_INIT response {N(COOKIE)}");
  // Who returns cookies gets further, but not everywhere
  for (let spi = 4; spi <= 8; spi++) {
    toB(pair, withSpi(request, spi));
    const [cookie] = decodeMessage(pair.wire.at(-1)?.data ?? new Uint8Array(0)).payloads;
    assert.equal(cookie?.kind, "N");
    toB(
      pair,
      changed(withSpi(request, spi), (payloads) => [cookie, ...payloads]),
    );
  }
  assert.equal(halfOpen(pair), 5);
  assert.equal(pair.b.endpoint.counters.halfOpenLimit, 3);
  toB(pair, withSpi(request, 99), "10.0.0.3");
  assert.equal(halfOpen(pair), 6);
  // All of them go, and the counts with them
  pair.wire.length = 0;
  pair.elapse(100, () => true);
  assert.equal(halfOpen(pair), 0);
  for (let spi = 1; spi <= 3; spi++) toB(pair, withSpi(request, spi));
  assert.equal(halfOpen(pair), 3);
});

test("two IKE_SA_INIT requests with one SPI and nonces that begin alike are two (RFC 7296 section 2.1)", () => {
  const pair = new Pair();
  const request = genuineRequest(pair);
  const other = changed(request, (payloads) =>
    payloads.map((payload) =>
      payload.kind === "Nonce" ? { ...payload, data: payload.data.with(31, (payload.data[31] ?? 0) ^ 1) } : payload,
    ),
  );
  toB(pair, other);
  toB(pair, request);
  const [toOther, toRequest] = pair.wire.splice(0);
  assert.equal(halfOpen(pair), 2);
  assert.notDeepEqual(toOther?.data, toRequest?.data);
  // Each is known again, and the true one comes up
  toB(pair, request);
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  const again = pair.take();
  assert.deepEqual(again.data, toRequest?.data);
  pair.deliver(again);
  pair.flush();
  pair.assertSameMkt(1);
});

test("an IKE_SA_INIT request is not taken at any length: 3000 octets are fine, 64 KiB are not (RFC 7296 section 2)", () => {
  const pair = new Pair();
  const request = genuineRequest(pair);
  const padded = (length: number): Uint8Array =>
    changed(request, (payloads) => [...payloads, { kind: "V", data: new Uint8Array(length) }]);
  toB(pair, padded(60_000));
  assert.deepEqual([pair.wire, pair.b.states, pair.b.endpoint.counters.malformed], [[], [], 1]);
  toB(pair, padded(3000));
  assert.equal(pair.wire.length, 1);
});

test("refused IKE_SA_INIT requests make few answers and few lines in the log (RFC 7296 section 2.21.4)", () => {
  const pair = new Pair({ b: { suites: [{ ...aesGcm, prf: [7] }] } });
  const request = genuineRequest(pair);
  for (let spi = 1; spi <= 100; spi++) toB(pair, withSpi(request, spi));
  assert.equal(pair.wire.length, 10);
  assert.ok(pair.b.logs.filter(({ level }) => level !== "debug").length <= 10);
  assert.equal(pair.b.endpoint.counters.suppressedErrors, 90);
});

test("a peer that begins IKE SA after IKE SA and deletes none does not fill our memory", () => {
  const pair = new Pair({ settings: { ikeSasPerPeer: 3, initialContact: false } });
  for (let count = 1; count <= 10; count++) {
    pair.createMkt("a", count);
    pair.flush();
    pair.a.endpoint = pair.a.fresh({ initialContact: false });
    pair.input("a", { kind: "configure", peers: [peerOf("a")] });
  }
  assert.equal(pair.b.of("ikeSaEstablished").length, 10);
  assert.equal(pair.b.states.filter((state) => state === "established").length, 3);
  assert.ok(pair.b.states.length <= 5, pair.b.states.join(" "));
  assert.equal(pair.b.of("ikeSaClosed").length, 7);
  // Those that were pushed out got a Delete (RFC 7296 section 2.4)
  assert.equal(pair.sent.filter(({ text }) => text === "INFORMATIONAL request {D(IKE)}").length, 7);
});

test("a peer that rekeys without end has to delete the old IKE SAs first: TEMPORARY_FAILURE (RFC 7296 section 2.25)", () => {
  const pair = Pair.established({ settings: { ikeSasPerPeer: 3 } });
  const rekey = (): void => {
    pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
    // HDR, SK {SA, Ni, KEi}  -->
    pair.step("a: CREATE_CHILD_SA request {SA, N, KE}");
    //                                <--  HDR, SK {SA, Nr, KEr}, the third time HDR, SK {N(TEMPORARY_FAILURE)}
    pair.step();
  };
  rekey();
  // HDR, SK {D(IKE)}  -->
  pair.take("a: INFORMATIONAL request {D(IKE)}");
  rekey();
  // HDR, SK {D(IKE)}  -->
  pair.take("a: INFORMATIONAL request {D(IKE)}");
  rekey();
  assert.equal(pair.sent.at(-1)?.text, "CREATE_CHILD_SA response {N(TEMPORARY_FAILURE)}");
  // The Deletes come again, and then it goes on
  pair.elapse(60);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
  assert.equal(pair.a.of("ikeSaRekeyed").length, 3);
});

test("a rekey that meets TEMPORARY_FAILURE for minutes: the IKE SA is closed (RFC 7296 section 2.25)", () => {
  const temporaryFailure = { delaySeconds: 5, tries: 24 };
  const pair = Pair.established({ settings: { ikeSasPerPeer: 1, temporaryFailure } });
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  pair.elapse(110); // 24 tries, 5 to 10 s apart
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
  pair.elapse(140);
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
  const refusals = pair.sent.filter(({ text }) => text === "CREATE_CHILD_SA response {N(TEMPORARY_FAILURE)}");
  assert.equal(refusals.length, 25);
  assert.equal(pair.a.last("ikeSaClosed").failure?.notifyType, NotifyType.TEMPORARY_FAILURE);
});

test("a caller's request that could never be sent is refused at once, and changes nothing", () => {
  const pair = Pair.established();
  const { endpoint } = pair.a;
  const taken = new Uint8Array(32);
  const mkt = { kind: "createMkt", requestId: 99, peer: otherEnd("a"), sendId: 5, taken, terms: termsOf("a") } as const;
  const inform = { kind: "inform", requestId: 99, peer: "b", connect: false } as const;
  const before = JSON.stringify(endpoint.ikeSas());
  for (const wrong of [
    { ...mkt, sendId: 256 },
    { ...mkt, sendId: -1 },
    { ...mkt, rekeys: 1.5 },
    { ...mkt, taken: new Uint8Array(31) },
    { ...mkt, terms: termsOf("a", { integrity: [] }) },
    { ...mkt, terms: termsOf("a", { localSelectors: [] }) },
    { ...inform, items: [{ kind: "keyState", sendId: 256, state: 1, reason: "" }] },
    { ...inform, items: [{ kind: "keyState", sendId: 1, state: 300, reason: "" }] },
    { ...inform, items: [{ kind: "deleteMkts", sendIds: [] }] },
    { ...inform, items: [{ kind: "freeze", seconds: -1 }] },
  ] as const) {
    assert.throws(() => endpoint.handle(wrong, pair.now), UsageError, JSON.stringify(wrong));
  }
  assert.equal(JSON.stringify(endpoint.ikeSas()), before);
  assert.deepEqual(endpoint.handle({ kind: "timeout" }, pair.now), []);
});
