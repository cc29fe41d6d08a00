import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { NodeCryptoProvider } from "../../node/nodeCryptoProvider.ts";
import { hex, unhex } from "../../src/bytes/hex.ts";
import type { HashName } from "../../src/crypto/provider.ts";

const crypto = new NodeCryptoProvider();

interface HmacVector {
  readonly hash: HashName;
  readonly key: string;
  readonly msg: string;
  readonly mac: string;
}

test("HMAC-SHA-2 (RFC 4231)", () => {
  const file = readFileSync(new URL("../vectors/rfc-crypto-vectors.json", import.meta.url), "utf8");
  const vectors = JSON.parse(file).rfc4231_hmac as readonly HmacVector[];
  assert.equal(vectors.length, 3);
  for (const { hash, key, msg, mac } of vectors) {
    assert.equal(hex(crypto.hmac(hash, unhex(key), unhex(msg))), mac);
    const octets = unhex(msg);
    assert.equal(hex(crypto.hmac(hash, unhex(key), octets.subarray(0, 3), octets.subarray(3))), mac);
  }
});

test("HMAC with an empty key and with one longer than a block (RFC 2202, RFC 4231 section 4.7)", () => {
  assert.equal(hex(crypto.hmac("sha1", new Uint8Array(0))), "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
  assert.equal(
    hex(
      crypto.hmac(
        "sha256",
        new Uint8Array(131).fill(0xaa),
        Buffer.from("Test Using Larger Than Block-Size Key - Hash Key First"),
      ),
    ),
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
  );
});

test("digests of parts are digests of the whole", () => {
  const parts = [Uint8Array.of(1), Uint8Array.of(), Uint8Array.of(2, 3)];
  for (const name of ["sha1", "sha256", "sha384", "sha512"] as const) {
    const expected = createHash(name)
      .update(Uint8Array.of(1, 2, 3))
      .digest("hex");
    assert.equal(hex(crypto.digest(name, ...parts)), expected);
    assert.equal(hex(crypto.digest(name, Uint8Array.of(1, 2, 3))), expected);
  }
});

test("results are plain Uint8Arrays", () => {
  const key = new Uint8Array(16);
  const sealed = crypto.aeadSeal("aes-128-gcm", key, new Uint8Array(12), key, key);
  const results = [
    crypto.random(8),
    crypto.digest("sha256", key),
    crypto.hmac("sha256", key, key),
    sealed,
    crypto.aeadOpen("aes-128-gcm", key, new Uint8Array(12), key, sealed),
    crypto.cbcEncrypt(key, key, key),
    crypto.cbcDecrypt(key, key, key),
    crypto.generateKeyPair(31)?.publicValue,
  ];
  for (const result of results) assert.equal(Object.getPrototypeOf(result), Uint8Array.prototype);
});

test("AES-CBC (RFC 3602 section 4, case 1)", () => {
  const key = unhex("06a9214036b8a15b512e03d534120006");
  const iv = unhex("3dafba429d9eb430b422da802c9fac41");
  const plaintext = Buffer.from("Single block msg");
  assert.equal(hex(crypto.cbcEncrypt(key, iv, plaintext)), "e353779c1079aeb82708942dbe77181a");
  assert.equal(hex(crypto.cbcDecrypt(key, iv, unhex("e353779c1079aeb82708942dbe77181a"))), hex(plaintext));
});

test("AES-GCM (the GCM specification, test cases 3 and 15)", () => {
  const plaintext = unhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
  );
  const nonce = unhex("cafebabefacedbaddecaf888");
  const key = unhex("feffe9928665731c6d6a8f9467308308");
  assert.equal(
    hex(crypto.aeadSeal("aes-128-gcm", key, nonce, new Uint8Array(0), plaintext)).slice(-32),
    "4d5c2af327cd64a62cf35abd2ba6fab4",
  );
  const key256 = unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  assert.equal(
    hex(crypto.aeadSeal("aes-256-gcm", key256, nonce, new Uint8Array(0), plaintext)).slice(-32),
    "b094dac5d93471bdec1a502270e3cc6c",
  );
});

test("an AEAD opens nothing shorter than its tag", () => {
  const key = new Uint8Array(32);
  assert.equal(crypto.aeadOpen("chacha20-poly1305", key, new Uint8Array(12), key, new Uint8Array(15)), undefined);
});

test("keys that are too weak or of no use have no algorithms (RFC 8247 section 3.1.1)", () => {
  const spki = { type: "spki", format: "der" } as const;
  const algorithmsOf = (publicKey: Uint8Array): readonly string[] => crypto.signatureAlgorithms(publicKey);
  assert.deepEqual(algorithmsOf(generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export(spki)), []);
  assert.deepEqual(algorithmsOf(generateKeyPairSync("x25519").publicKey.export(spki)), []);
  assert.deepEqual(algorithmsOf(generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey.export(spki)), []);
  assert.deepEqual(algorithmsOf(new Uint8Array(0)), []);
  assert.deepEqual(algorithmsOf(generateKeyPairSync("ed25519").publicKey.export(spki)), ["ed25519"]);
});

test("two keys asked about in turn are not mixed up", () => {
  const spki = { type: "spki", format: "der" } as const;
  const ed25519 = generateKeyPairSync("ed25519").publicKey.export(spki);
  const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export(spki);
  assert.equal(crypto.signatureAlgorithms(ed25519)[0], "ed25519");
  assert.equal(crypto.signatureAlgorithms(p256)[0], "ecdsa-sha256");
  p256.set(ed25519); // the caller's buffer is not what is remembered
  assert.equal(crypto.signatureAlgorithms(p256.subarray(0, ed25519.length))[0], "ed25519");
});

test("what is not one DER certificate has no public key", () => {
  for (const octets of ["", "30", "3000", "2d2d2d2d2d424547494e"]) {
    assert.equal(crypto.publicKeyOfCertificate(unhex(octets)), undefined);
  }
});
