import assert from "node:assert/strict";
import { test } from "node:test";
import { Pair, pskAuthRequest, pskAuthResponse, saInitRequest, saInitResponse } from "./pair.ts";

test("IKE_SA_INIT and IKE_AUTH make an IKE SA with one MKT (RFC 7296 section 1.2)", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  pair.step(`a: ${saInitRequest}`);
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  pair.step(`b: ${saInitResponse}`);
  // HDR(A,B), SK {IDi, IDr, AUTH, SAi2, TSi, TSr}  -->
  pair.step(`a: ${pskAuthRequest}`);
  //                                <--  HDR(A,B), SK {IDr, AUTH, SAr2, TSi, TSr}
  pair.step(`b: ${pskAuthResponse}`);
  assert.equal(pair.wire.length, 0);
  pair.assertSameMkt(1);
  assert.deepEqual(
    [pair.a, pair.b].map((router) => router.events.map((event) => event.kind)),
    [
      ["ikeSaEstablished", "mktNegotiated"],
      ["ikeSaEstablished", "mktNegotiated"],
    ],
  );
});
