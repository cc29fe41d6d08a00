import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { utf8Encode } from "../../src/bytes/utf8.ts";
import { estimatePskStrength } from "../../src/policy/pskStrength.ts";

function isWeak(secret: string | Uint8Array): boolean {
  return estimatePskStrength(typeof secret === "string" ? utf8Encode(secret) : secret).isWeak;
}

test("random keys of 128 bits pass in every usual form, each of 2000 times (RFC 7296 section 2.15)", () => {
  for (let attempt = 0; attempt < 2000; attempt++) {
    const key = randomBytes(16);
    assert.equal(isWeak(key), false, key.toString("hex"));
    assert.equal(isWeak(randomBytes(16).toString("hex")), false);
    assert.equal(isWeak(randomBytes(24).toString("base64")), false);
    assert.equal(isWeak(randomBytes(17).toString("base64url")), false);
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
  assert.equal(isWeak(randomBytes(15)), true);
  assert.equal(isWeak(new Uint8Array(1000)), true);
});

test("the estimate is a number of bits", () => {
  assert.equal(estimatePskStrength(new Uint8Array(0)).bits, 0);
  const { bits } = estimatePskStrength(randomBytes(32));
  assert.ok(bits > 200 && bits <= 256, String(bits));
});
