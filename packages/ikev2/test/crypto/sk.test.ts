import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { NodeCryptoProvider } from "../../node/nodeCryptoProvider.ts";
import { concat } from "../../src/bytes/bytes.ts";
import { UsageError } from "../../src/bytes/errors.ts";
import { hex, unhex } from "../../src/bytes/hex.ts";
import { Secret } from "../../src/bytes/secret.ts";
import { decodeMessage } from "../../src/codec/codec.ts";
import type { EncryptedPayload, IkeHeader } from "../../src/codec/message.ts";
import type { DirectionKeys } from "../../src/crypto/keys.ts";
import { protect, unprotect } from "../../src/crypto/sk.ts";
import type { CipherSuite } from "../../src/crypto/suite.ts";
import { suites } from "./suites.ts";

const crypto = new NodeCryptoProvider();
const header: IkeHeader = {
  initiatorSpi: 0x1122334455667788n,
  responderSpi: 0x99aabbccddeeff00n,
  majorVersion: 2,
  minorVersion: 0,
  exchangeType: 37,
  isInitiator: true,
  isResponse: false,
  hasHigherVersion: false,
  messageId: 2,
};
/** N(INITIAL_CONTACT). */
const notify = { firstPayload: 41, bytes: unhex("0000000800004000") };

function keysFor(suite: CipherSuite, first = 1): DirectionKeys {
  const { protection } = suite;
  const [eLength, aLength] =
    protection.kind === "aead"
      ? [protection.keyLength + protection.saltLength, 0]
      : [protection.keyLength, protection.integrityKeyLength];
  const octets = (length: number): Secret => new Secret(Uint8Array.from({ length }, (_, n) => (first + n) & 0xff));
  return { skE: octets(eLength), skA: octets(aLength) };
}

function encryptedOf(datagram: Uint8Array): EncryptedPayload {
  return decodeMessage(datagram).encrypted ?? assert.fail("no SK payload");
}

test("a whole message with ChaCha20-Poly1305 decrypts and encrypts again (RFC 7634 appendix B)", () => {
  const file = readFileSync(new URL("../vectors/rfc-crypto-vectors.json", import.meta.url), "utf8");
  const vector = JSON.parse(file).rfc7634_ikev2_chacha20poly1305_message;
  const keys = { skE: new Secret(unhex(vector.key + vector.salt)), skA: new Secret(new Uint8Array(0)) };
  const datagram = unhex(vector.ikeMessage);
  const message = decodeMessage(datagram);
  assert.ok(message.encrypted);
  const bytes = unprotect(crypto, suites.chaCha20Poly1305, keys, message.encrypted);
  assert.ok(bytes);
  assert.equal(`${hex(bytes)}00`, vector.plaintext); // the last octet is Pad Length
  const inner = { firstPayload: message.encrypted.firstPayload, bytes };
  const again = protect(crypto, suites.chaCha20Poly1305, keys, BigInt(`0x${vector.iv}`), message.header, inner);
  assert.equal(hex(again), vector.ikeMessage);
});

for (const suite of Object.values(suites)) {
  const keys = keysFor(suite);

  test(`${suite.text}: unprotect is the inverse of protect, for any length (RFC 7296 section 3.14)`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (bytes, counter) => {
        const encrypted = encryptedOf(protect(crypto, suite, keys, counter, header, { firstPayload: 41, bytes }));
        assert.equal(encrypted.firstPayload, 41);
        assert.deepEqual(unprotect(crypto, suite, keys, encrypted), Uint8Array.from(bytes));
      }),
      { numRuns: 60 },
    );
  });

  test(`${suite.text}: any flipped bit is refused (RFC 7296 section 3.14, RFC 5282 section 5.1)`, () => {
    const datagram = protect(crypto, suite, keys, 5, header, notify);
    const { associatedData, body } = encryptedOf(datagram);
    for (let bit = 0; bit < datagram.length * 8; bit++) {
      const flipped = datagram.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const encrypted = {
        firstPayload: 41,
        associatedData: flipped.subarray(0, associatedData.length),
        body: flipped.subarray(associatedData.length),
      };
      assert.equal(unprotect(crypto, suite, keys, encrypted), undefined, `bit ${bit}`);
    }
    assert.deepEqual(unprotect(crypto, suite, keys, { firstPayload: 41, associatedData, body }), notify.bytes);
  });

  test(`${suite.text}: a body cut anywhere is refused`, () => {
    const encrypted = encryptedOf(protect(crypto, suite, keys, 5, header, notify));
    for (let length = 0; length < encrypted.body.length; length++) {
      const cut = { ...encrypted, body: encrypted.body.subarray(0, length) };
      assert.equal(unprotect(crypto, suite, keys, cut), undefined, `${length} octets`);
    }
  });

  test(`${suite.text}: other keys are refused`, () => {
    const encrypted = encryptedOf(protect(crypto, suite, keys, 5, header, notify));
    assert.equal(unprotect(crypto, suite, keysFor(suite, 2), encrypted), undefined);
  });

  test(`${suite.text}: an empty INFORMATIONAL has Next Payload 0`, () => {
    const datagram = protect(crypto, suite, keys, 0, header, { firstPayload: 0, bytes: new Uint8Array(0) });
    assert.equal(encryptedOf(datagram).firstPayload, 0);
    assert.deepEqual(unprotect(crypto, suite, keys, encryptedOf(datagram)), new Uint8Array(0));
  });
}

test("the IV of an AEAD is the counter (RFC 5282 section 3.1)", () => {
  const suite = suites.aesGcm128;
  const ivOf = (counter: number | bigint): string =>
    hex(encryptedOf(protect(crypto, suite, keysFor(suite), counter, header, notify)).body.subarray(0, 8));
  assert.deepEqual([0, 1, 2n ** 64n - 1n].map(ivOf), ["0000000000000000", "0000000000000001", "ffffffffffffffff"]);
  for (const counter of [-1, 0.5, 2 ** 53, 2n ** 64n, -1n]) assert.throws(() => ivOf(counter), UsageError);
});

test("the IV of CBC is fresh for every message (RFC 7296 section 3.14)", () => {
  const suite = suites.aesCbc128;
  const send = (): string => hex(encryptedOf(protect(crypto, suite, keysFor(suite), 0, header, notify)).body);
  assert.notEqual(send().slice(0, 32), send().slice(0, 32));
});

test("CBC: padding of a whole block more is accepted (RFC 7296 section 3.14)", () => {
  const suite = suites.aesCbc128;
  assert.deepEqual(openCbc(suite, concat(notify.bytes, new Uint8Array(23), Uint8Array.of(23))), notify.bytes);
});

test("CBC: a Pad Length beyond the plaintext is refused", () => {
  const suite = suites.aesCbc128;
  assert.deepEqual(openCbc(suite, concat(new Uint8Array(15), Uint8Array.of(15))), new Uint8Array(0));
  assert.equal(openCbc(suite, concat(new Uint8Array(15), Uint8Array.of(16))), undefined);
});

test("what does not fit the length field is the caller's fault", () => {
  const bytes = new Uint8Array(0xffff);
  const send = (): unknown =>
    protect(crypto, suites.aesGcm128, keysFor(suites.aesGcm128), 0, header, { ...notify, bytes });
  assert.throws(send, UsageError);
});

/** As a peer would send it that pads in its own way. */
function openCbc(suite: CipherSuite, plaintext: Uint8Array): Uint8Array | undefined {
  const keys = keysFor(suite);
  const iv = crypto.random(16);
  const associatedData = new Uint8Array(32);
  const ciphertext = keys.skE.expose((key) => crypto.cbcEncrypt(key, iv, plaintext));
  const icv = keys.skA.expose((key) => crypto.hmac("sha256", key, associatedData, iv, ciphertext)).subarray(0, 16);
  return unprotect(crypto, suite, keys, { firstPayload: 41, associatedData, body: concat(iv, ciphertext, icv) });
}
