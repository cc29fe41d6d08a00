import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeCryptoProvider } from "../../node/nodeCryptoProvider.ts";
import { CookieSecrets, type CookieSubject } from "../../src/crypto/cookie.ts";

const crypto = new NodeCryptoProvider();
const subject: CookieSubject = { ni: new Uint8Array(32).fill(1), address: "10.0.0.2", spiI: 5n };

test("a cookie comes back from the same nonce, address and SPI only (RFC 7296 section 2.6)", () => {
  const secrets = new CookieSecrets(crypto, 0);
  const cookie = secrets.issue(subject, 0);
  assert.ok(cookie.length >= 1 && cookie.length <= 64); // RFC 7296 section 2.6
  assert.equal(secrets.accepts(cookie, subject, 0), true);
  assert.equal(secrets.accepts(cookie, { ...subject, spiI: 6n }, 0), false);
  assert.equal(secrets.accepts(cookie, { ...subject, address: "10.0.0.3" }, 0), false);
  assert.equal(secrets.accepts(cookie, { ...subject, ni: new Uint8Array(31).fill(1) }, 0), false);
});

test("a cookie with any flipped bit, cut or of another responder is refused", () => {
  const secrets = new CookieSecrets(crypto, 0);
  const cookie = secrets.issue(subject, 0);
  for (let bit = 0; bit < cookie.length * 8; bit++) {
    const flipped = cookie.with(bit >> 3, (cookie[bit >> 3] ?? 0) ^ (1 << (bit & 7)));
    assert.equal(secrets.accepts(flipped, subject, 0), false);
  }
  assert.equal(secrets.accepts(new Uint8Array(0), subject, 0), false);
  assert.equal(secrets.accepts(cookie.subarray(0, 1), subject, 0), false);
  assert.equal(new CookieSecrets(crypto, 0).accepts(cookie, subject, 0), false);
});

test("a cookie lives through one change of the secret and not through two (RFC 7296 section 2.6)", () => {
  const secrets = new CookieSecrets(crypto, 1000);
  const cookie = secrets.issue(subject, 60_999);
  assert.equal(secrets.accepts(cookie, subject, 61_000), true);
  assert.notDeepEqual(secrets.issue(subject, 61_000), cookie);
  assert.equal(secrets.accepts(cookie, subject, 120_999), true);
  assert.equal(secrets.accepts(cookie, subject, 121_000), false);
});

test("after a long pause even the last secret is too old", () => {
  const secrets = new CookieSecrets(crypto, 0);
  const cookie = secrets.issue(subject, 0);
  assert.equal(secrets.accepts(cookie, subject, 10_000_000), false);
  assert.equal(secrets.accepts(secrets.issue(subject, 10_000_000), subject, 10_000_001), true);
});

test("secrets can change more often than versions have numbers", () => {
  const secrets = new CookieSecrets(crypto, 0);
  for (let now = 0; now < 300 * 60_000; now += 60_000) {
    assert.equal(secrets.accepts(secrets.issue(subject, now), subject, now), true);
  }
});
