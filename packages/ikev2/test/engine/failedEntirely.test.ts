/** RFC 7296 section 3.10.1: with an error in the response, known or not, the request has failed entirely. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { SaCipher } from "../../src/engine/saCipher.ts";
import { decodeMessage, encodeMessage, type NotifyPayload, NotifyType } from "../../src/index.ts";
import { Pair, pskAuthRequest, saInitRequest, saInitResponse } from "./pair.ts";

/** Private use, and nobody's. */
const UNKNOWN_ERROR = 8300;

function error(notifyType: number): NotifyPayload {
  return { kind: "N", protocolId: 0, spi: new Uint8Array(0), notifyType, data: new Uint8Array(0) };
}

/** The next protected message that either end makes has this notify behind its payloads. */
function addToNext(context: TestContext, notifyType: number): void {
  const { seal } = SaCipher.prototype;
  const sealWithError: typeof seal = function (this: SaCipher, crypto, header, payloads) {
    return seal.call(this, crypto, header, [...payloads, error(notifyType)]);
  };
  context.mock.method(SaCipher.prototype, "seal", sealWithError, { times: 1 });
}

for (const [name, notifyType] of [
  ["UNKNOWN(8300)", UNKNOWN_ERROR],
  ["NO_ADDITIONAL_SAS", NotifyType.NO_ADDITIONAL_SAS],
  ["INVALID_KE_PAYLOAD", NotifyType.INVALID_KE_PAYLOAD],
  ["TEMPORARY_FAILURE", NotifyType.TEMPORARY_FAILURE],
] as const) {
  test(`an MKT beside N(${name}) in CREATE_CHILD_SA is none, and the peer is told so (RFC 7296 section 3.10.1)`, (t) => {
    const pair = Pair.established();
    const requestId = pair.createMkt("a", 2);
    const request = pair.take("a: CREATE_CHILD_SA request {SA, N, TSi, TSr, N(KMP_KEYIDS_TAKEN)}");
    addToNext(t, notifyType);
    // HDR, SK {SA, Ni, TSi, TSr}  -->
    pair.deliver(request);
    //                                <--  HDR, SK {SA, Nr, TSi, TSr, N(error)}
    pair.step(`b: CREATE_CHILD_SA response {SA, N, TSi, TSr, N(${name})}`);
    const { failure, ...failed } = pair.a.last("mktFailed");
    assert.deepEqual([failed.requestId, failure.notifyType], [requestId, notifyType]);
    assert.equal(pair.a.of("mktNegotiated").length, 1);
    // HDR, SK {D}  -->
    pair.step("a: INFORMATIONAL request {D(TCP_AO 2)}");
    assert.deepEqual(pair.b.last("mktsDeleted").recvIds, [2]);
    pair.flush();
    assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
  });
}

test("an MKT beside an unknown error in IKE_AUTH is none, the IKE SA stands (RFC 7296 sections 2.21.2 and 3.10.1)", (t) => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  pair.step(`a: ${saInitRequest}`);
  pair.step(`b: ${saInitResponse}`);
  const request = pair.take(`a: ${pskAuthRequest}`);
  addToNext(t, UNKNOWN_ERROR);
  // HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr}  -->
  pair.deliver(request);
  //                                <--  HDR, SK {IDr, AUTH, SAr2, TSi, TSr, N(8300)}
  pair.step("b: IKE_AUTH response {IDr, AUTH, SA, TSi, TSr, N(UNKNOWN(8300))}");
  assert.equal(pair.a.last("mktFailed").failure.notifyType, UNKNOWN_ERROR);
  assert.deepEqual(pair.a.of("mktNegotiated"), []);
  assert.deepEqual([pair.a.of("ikeSaEstablished").length, pair.a.of("ikeSaFailed").length], [1, 0]);
  // HDR, SK {D}  -->
  pair.step("a: INFORMATIONAL request {D(TCP_AO 1)}");
  pair.flush();
  // The IKE SA is good for the next one
  pair.createMkt("a", 2);
  pair.flush();
  pair.assertSameMkt(2);
});

test("a new IKE SA beside an unknown error is none: the old one is replaced by initial exchanges (RFC 7296 section 2.8)", (t) => {
  const pair = Pair.established();
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  const request = pair.take("a: CREATE_CHILD_SA request {SA, N, KE}");
  addToNext(t, UNKNOWN_ERROR);
  // HDR, SK {SA, Ni, KEi}  -->
  pair.deliver(request);
  //                                <--  HDR, SK {SA, Nr, KEr, N(8300)}
  pair.step("b: CREATE_CHILD_SA response {SA, N, KE, N(UNKNOWN(8300))}");
  assert.ok(pair.a.logs.some(({ name, detail }) => name === "rekeyRefused" && detail?.includes("8300")));
  assert.deepEqual([pair.a.of("ikeSaRekeyed").length, pair.a.states], [0, ["established"]]);
  pair.elapse(1);
  assert.ok(pair.sent.some(({ from, text }) => from === "a" && text.startsWith("IKE_AUTH request")));
  pair.createMkt("a", 2);
  pair.elapse(1);
  pair.assertSameMkt(2);
});

test("an IKE_SA_INIT response with an unknown error leads nowhere; the true one still does (RFC 7296 section 2.21.1)", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  pair.step(`a: ${saInitRequest}`);
  const response = pair.take(`b: ${saInitResponse}`);
  const { header, payloads } = decodeMessage(response.data);
  //                                <--  HDR(A,B), SAr1, KEr, Nr, N(8300)
  pair.deliver({ ...response, data: encodeMessage(header, [...payloads, error(UNKNOWN_ERROR)]) });
  assert.deepEqual([pair.a.states, pair.wire, pair.a.events], [["saInitSent"], [], []]);
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  pair.deliver(response);
  pair.flush();
  pair.assertSameMkt(1);
});

test("a responder that always says so: the attempt fails with its error when the time is over (RFC 7296 section 2.21.1)", () => {
  const pair = new Pair();
  const requestId = pair.createMkt("a", 1);
  pair.step(`a: ${saInitRequest}`);
  const response = pair.take(`b: ${saInitResponse}`);
  const { header, payloads } = decodeMessage(response.data);
  pair.deliver({ ...response, data: encodeMessage(header, [...payloads, error(UNKNOWN_ERROR)]) });
  pair.elapse(60, () => true);
  const { failure, ...failed } = pair.a.last("mktFailed");
  assert.deepEqual([failed.requestId, failure.reason, failure.notifyType], [requestId, "refusedByPeer", UNKNOWN_ERROR]);
});
