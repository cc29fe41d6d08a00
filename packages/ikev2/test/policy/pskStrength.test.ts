import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { utf8Encode } from "../../src/bytes/utf8.ts";
import { estimatePskStrength } from "../../src/policy/pskStrength.ts";

function isWeak(secret: string | Uint8Array): boolean {
  return estimatePskStrength(typeof secret === "string" ? utf8Encode(secret) : secret).isWeak;
}

/** Looks random, and is the same in every run: four in a million raw keys happen to look like text. */
function pseudoRandom(length: number, seed: number): Buffer {
  return createHash("sha256").update(`key ${seed}`).digest().subarray(0, length);
}

test("random keys of 128 bits pass in every usual form, 2000 of each (RFC 7296 section 2.15)", () => {
  for (let seed = 0; seed < 2000; seed++) {
    assert.equal(isWeak(pseudoRandom(16, seed)), false);
    assert.equal(isWeak(pseudoRandom(16, seed).toString("hex")), false);
    assert.equal(isWeak(pseudoRandom(16, seed).toString("base64url")), false); // 22 characters
    assert.equal(isWeak(pseudoRandom(24, seed).toString("base64")), false);
  }
});

const weak: readonly string[] = [
  "",
  "changeme",
  "correct horse",
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
  "0123456789abcdef0123456789abcdef",
  "12345678901234567890123456789012345678901234567890",
  "Pa55word!Pa55word!Pa55word!Pa55word!",
  "abababababababababababababababab",
  "0000000000000000000000000000000000000001",
];
for (const secret of weak) {
  test(`"${secret}" is weak`, () => assert.equal(isWeak(secret), true));
}

test("15 random octets are too short, zeros are weak at any length", () => {
  assert.equal(isWeak(pseudoRandom(15, 1)), true);
  assert.equal(isWeak(new Uint8Array(1000)), true);
});

test("the estimate is a number of bits", () => {
  assert.equal(estimatePskStrength(new Uint8Array(0)).bits, 0);
  const { bits } = estimatePskStrength(pseudoRandom(32, 1));
  assert.ok(bits > 200 && bits <= 256, String(bits));
});
