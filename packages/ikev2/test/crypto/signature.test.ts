import assert from "node:assert/strict";
import { test } from "node:test";
import { concat } from "../../src/bytes/bytes.ts";
import { hex, unhex } from "../../src/bytes/hex.ts";
import { derFromRaw, rawFromDer } from "../../src/crypto/ecdsaSignature.ts";
import type { SignatureAlgorithm } from "../../src/crypto/provider.ts";
import { algorithmIdentifierOf, parseDigitalSignature } from "../../src/crypto/signature.ts";

/** RFC 7427 appendix A as printed; RSASSA-PSS with SHA-384 and SHA-512 as RFC 4055 section 2.1 builds them. */
const appendixA: Readonly<Record<SignatureAlgorithm, string>> = {
  ed25519: "3005 0603 2b65 70", // RFC 8420 appendix A
  "rsa-sha256": "300d 0609 2a86 4886 f70d 0101 0b05 00",
  "rsa-sha384": "300d 0609 2a86 4886 f70d 0101 0c05 00",
  "rsa-sha512": "300d 0609 2a86 4886 f70d 0101 0d05 00",
  "ecdsa-sha256": "300a 0608 2a86 48ce 3d04 0302",
  "ecdsa-sha384": "300a 0608 2a86 48ce 3d04 0303",
  "ecdsa-sha512": "300a 0608 2a86 48ce 3d04 0304",
  "rsa-pss-sha256":
    "3046 0609 2a86 4886 f70d 0101 0a30 39a0 0f30 0d06 0960 8648 0165 0304 0201 0500 " +
    "a11c 301a 0609 2a86 4886 f70d 0101 0830 0d06 0960 8648 0165 0304 0201 0500 a203 0201 20a3 0302 0101",
  "rsa-pss-sha384":
    "3046 0609 2a86 4886 f70d 0101 0a30 39a0 0f30 0d06 0960 8648 0165 0304 0202 0500 " +
    "a11c 301a 0609 2a86 4886 f70d 0101 0830 0d06 0960 8648 0165 0304 0202 0500 a203 0201 30a3 0302 0101",
  "rsa-pss-sha512":
    "3046 0609 2a86 4886 f70d 0101 0a30 39a0 0f30 0d06 0960 8648 0165 0304 0203 0500 " +
    "a11c 301a 0609 2a86 4886 f70d 0101 0830 0d06 0960 8648 0165 0304 0203 0500 a203 0201 40a3 0302 0101",
};

for (const [name, printed] of Object.entries(appendixA)) {
  const algorithm = name as SignatureAlgorithm;
  const expected = printed.replaceAll(" ", "");
  test(`AlgorithmIdentifier of ${algorithm} (RFC 7427 appendix A)`, () => {
    assert.equal(hex(algorithmIdentifierOf(algorithm)), expected);
    const identifier = unhex(expected);
    const parsed = parseDigitalSignature(concat(Uint8Array.of(identifier.length), identifier, unhex("aabb")));
    assert.deepEqual(parsed, { algorithm, signature: unhex("aabb") });
  });
}

test("RSASSA-PSS without the default trailer field and without NULL is known too (RFC 4055 section 2.1)", () => {
  const identifier = unhex(
    "303d06092a864886f70d01010a3030a00d300b0609608648016503040201a11a301806092a864886f70d010108300b0609608648016503040201a203020120",
  );
  const parsed = parseDigitalSignature(concat(Uint8Array.of(identifier.length), identifier, unhex("00")));
  assert.equal(parsed?.algorithm, "rsa-pss-sha256");
});

test("RSASSA-PSS with default parameters means SHA-1 and is not known (RFC 7427 appendix A.4.1)", () => {
  const identifier = unhex("300d06092a864886f70d01010a3000");
  const parsed = parseDigitalSignature(concat(Uint8Array.of(identifier.length), identifier, unhex("00")));
  assert.deepEqual(parsed, { algorithm: undefined, signature: unhex("00") });
});

const der: readonly (readonly [string, string])[] = [
  ["0102", "3006020101020102"],
  ["80ff", "300802020080020200ff"],
  ["00010002", "3006020101020102"],
  ["0000", "3006020100020100"],
];
for (const [raw, expected] of der) {
  test(`r | s ${raw} as Ecdsa-Sig-Value and back (RFC 4754 section 7)`, () => {
    assert.equal(hex(derFromRaw(unhex(raw))), expected);
    assert.equal(hex(rawFromDer(unhex(expected), raw.length / 4) ?? assert.fail()), raw);
  });
}

test("octets that are no Ecdsa-Sig-Value have no r | s", () => {
  const bad = ["", "30", "3000", "30060201010201", "3106020101020102", "3006020101040102", "300602010102010200"];
  for (const octets of [...bad, "3006020201010201", "3005020101020002"]) {
    assert.equal(rawFromDer(unhex(octets), 32), undefined, octets);
  }
  assert.equal(rawFromDer(unhex("300702020101020102"), 1), undefined); // r does not fit
});
