import assert from "node:assert/strict";
import { test } from "node:test";
import { isAead, prfOf, resolveSuite } from "../../src/crypto/suite.ts";

const gcm128 = { id: 20, keyLengthBits: 128 };
const cbc128 = { id: 12, keyLengthBits: 128 };

test("an AEAD has no integrity algorithm, other ciphers must have one (RFC 7296 section 3.3)", () => {
  assert.ok(resolveSuite({ encryption: gcm128, integrity: 0, prf: 5, keyExchange: 31 }));
  assert.equal(resolveSuite({ encryption: gcm128, integrity: 12, prf: 5, keyExchange: 31 }), undefined);
  assert.ok(resolveSuite({ encryption: cbc128, integrity: 12, prf: 5, keyExchange: 31 }));
  assert.equal(resolveSuite({ encryption: cbc128, integrity: 0, prf: 5, keyExchange: 31 }), undefined);
  assert.equal(resolveSuite({ encryption: cbc128, integrity: 2, prf: 5, keyExchange: 31 }), undefined);
});

test("the key length is part of the cipher where there are several, and of none else (RFC 7296 section 3.3.5)", () => {
  assert.equal(resolveSuite({ encryption: { id: 20 }, prf: 5, keyExchange: 31 }), undefined);
  assert.equal(resolveSuite({ encryption: { id: 20, keyLengthBits: 192 }, prf: 5, keyExchange: 31 }), undefined);
  assert.equal(resolveSuite({ encryption: { id: 28, keyLengthBits: 256 }, prf: 5, keyExchange: 31 }), undefined);
});

test("SHA-1 is known as a PRF, and in no suite (RFC 8247 section 2.2)", () => {
  assert.equal(prfOf(2)?.hash, "sha1");
  assert.equal(resolveSuite({ encryption: gcm128, prf: 2, keyExchange: 31 }), undefined);
});

test("unknown algorithms make no suite", () => {
  assert.equal(resolveSuite({ encryption: { id: 3 }, prf: 5, keyExchange: 31 }), undefined);
  assert.equal(resolveSuite({ encryption: gcm128, prf: 4, keyExchange: 31 }), undefined);
  assert.equal(resolveSuite({ encryption: gcm128, prf: 5, keyExchange: 2 }), undefined);
  assert.deepEqual([12, 20, 28, 18].map(isAead), [false, true, true, false]);
});
