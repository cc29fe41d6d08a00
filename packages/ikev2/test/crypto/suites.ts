import assert from "node:assert/strict";
import { type CipherSuite, resolveSuite, type SuiteTransforms } from "../../src/crypto/suite.ts";

/** One suite for each cipher, in which every PRF and Key Exchange Method occurs. */
export const suites = {
  aesGcm128: suite({ encryption: { id: 20, keyLengthBits: 128 }, prf: 5, keyExchange: 31 }),
  aesGcm256: suite({ encryption: { id: 20, keyLengthBits: 256 }, prf: 6, keyExchange: 20 }),
  chaCha20Poly1305: suite({ encryption: { id: 28 }, prf: 7, keyExchange: 31 }),
  aesCbc128: suite({ encryption: { id: 12, keyLengthBits: 128 }, integrity: 12, prf: 5, keyExchange: 14 }),
  aesCbc256: suite({ encryption: { id: 12, keyLengthBits: 256 }, integrity: 12, prf: 5, keyExchange: 19 }),
};

function suite(transforms: SuiteTransforms): CipherSuite {
  return resolveSuite(transforms) ?? assert.fail("a suite that should be supported");
}
