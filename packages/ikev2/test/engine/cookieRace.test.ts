/** RFC 7296 sections 2.6 and 2.15: a COOKIE and a response that cross, and what AUTH is over then. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeMessage, encodeMessage } from "../../src/index.ts";
import { announcements, type Packet, Pair, pskAuthRequest, saInitRequest, saInitResponse } from "./pair.ts";
import { addresses } from "./peers.ts";

const cookieRequest = `IKE_SA_INIT request {N(COOKIE), SA, KE, N, ${announcements}}`;
const cookieDemand = "IKE_SA_INIT response {N(COOKIE)}";

/** Somebody else's half-open IKE SA makes b ask for cookies, until it expires: that is when its load goes down. */
function loaded(): Pair {
  const pair = new Pair({ settings: { cookieThreshold: 1, halfOpenSeconds: 2 } });
  pair.createMkt("a", 1);
  const data = pair.wire[0]?.data.slice() ?? assert.fail();
  new DataView(data.buffer).setBigUint64(0, 1n);
  pair.input("b", { kind: "datagram", local: addresses.b, remote: addresses.a, data });
  pair.wire.pop();
  assert.deepEqual(pair.b.states, ["halfOpen"]);
  return pair;
}

/** The next message, as it is when the other end has not got it yet. */
function withheld(pair: Pair, seconds: number): readonly Packet[] {
  const packets: Packet[] = [];
  pair.elapse(seconds, (packet) => packets.push(packet) > 0);
  return packets;
}

test("a repeated request without the cookie is taken after all: the AUTH is over the one with it (section 2.15)", () => {
  const pair = loaded();
  // HDR(A,0), SAi1, KEi, Ni  -->
  pair.step(`a: ${saInitRequest}`);
  //                                <--  HDR(A,0), N(COOKIE), which takes its time
  const demand = pair.take(`b: ${cookieDemand}`);
  const [again] = withheld(pair, 2.5);
  assert.ok(again);
  // HDR(A,0), SAi1, KEi, Ni  -->, again; b is not under load any more
  pair.deliver(again);
  //                                <--  HDR(A,B), SAr1, KEr, Nr, which takes its time too
  const response = pair.take(`b: ${saInitResponse}`);
  pair.deliver(demand);
  // HDR(A,0), N(COOKIE), SAi1, KEi, Ni  -->
  pair.step(`a: ${cookieRequest}`);
  //                                <--  HDR(A,B), SAr1, KEr, Nr, the same
  assert.deepEqual(pair.take(`b: ${saInitResponse}`).data, response.data);
  pair.deliver(response);
  // HDR(A,B), SK {IDi, IDr, AUTH, SAi2, TSi, TSr}  -->
  pair.step(`a: ${pskAuthRequest}`);
  pair.flush();
  pair.assertSameMkt(1);
});

test("a forged COOKIE does not make the attempt fail (section 2.6)", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  const request = pair.step(`a: ${saInitRequest}`);
  const response = pair.take(`b: ${saInitResponse}`);
  //                                <--  HDR(A,0), N(COOKIE), from somebody who read the request
  const header = { ...decodeMessage(request.data).header, isInitiator: false, isResponse: true };
  const data = encodeMessage(header, [
    { kind: "N", protocolId: 0, spi: new Uint8Array(0), notifyType: 16390, data: new Uint8Array(20) },
  ]);
  pair.input("a", { kind: "datagram", local: addresses.a, remote: addresses.b, data });
  // HDR(A,0), N(COOKIE), SAi1, KEi, Ni  -->
  pair.step(`a: ${cookieRequest}`);
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  pair.deliver(response);
  pair.flush();
  pair.assertSameMkt(1);
});

test("a copy of the request without the cookie that comes late changes nothing", () => {
  const pair = new Pair({ settings: { cookieThreshold: 0 } });
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  const request = pair.step(`a: ${saInitRequest}`);
  pair.step(`b: ${cookieDemand}`);
  // HDR(A,0), N(COOKIE), SAi1, KEi, Ni  -->
  pair.step(`a: ${cookieRequest}`);
  // HDR(A,0), SAi1, KEi, Ni  -->, a copy of the first
  pair.deliver(request);
  pair.flush();
  pair.assertSameMkt(1);
});

test("a request that differs in more than the cookie is another one: its AUTH counts for nothing (section 2.15)", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  const request = pair.take(`a: ${saInitRequest}`);
  // Somebody takes our Vendor ID out and gets an answer to that, then lets the true request through
  const { header, payloads } = decodeMessage(request.data);
  const downgraded = encodeMessage(
    header,
    payloads.filter(({ kind }) => kind !== "V"),
  );
  pair.deliver({ ...request, data: downgraded });
  const response = pair.take(`b: ${saInitResponse}`);
  // HDR(A,0), SAi1, KEi, Ni  -->
  pair.deliver(request);
  assert.deepEqual(pair.take(`b: ${saInitResponse}`).data, response.data);
  pair.deliver(response);
  // HDR(A,B), SK {IDi, IDr, AUTH, SAi2, TSi, TSr}  -->
  pair.step();
  //                                <--  HDR(A,B), SK {N(AUTHENTICATION_FAILED)}
  pair.step("b: IKE_AUTH response {N(AUTHENTICATION_FAILED)}");
  assert.deepEqual([pair.a.states, pair.b.of("ikeSaEstablished")], [[], []]);
});
