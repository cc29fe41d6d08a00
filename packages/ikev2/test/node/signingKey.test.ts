import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { NodeCryptoProvider } from "../../node/nodeCryptoProvider.ts";
import { loadSigningKey } from "../../node/signingKey.ts";
import { UsageError } from "../../src/bytes/errors.ts";

const crypto = new NodeCryptoProvider();
const data = Uint8Array.of(1, 2, 3);
const { privateKey: ed25519 } = generateKeyPairSync("ed25519");
const { privateKey: p256 } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const { privateKey: rsa } = generateKeyPairSync("rsa", { modulusLength: 2048 });

const encodings = {
  "Ed25519 PKCS#8 PEM": ed25519.export({ type: "pkcs8", format: "pem" }),
  "Ed25519 PKCS#8 DER": ed25519.export({ type: "pkcs8", format: "der" }),
  "PEM as octets": Buffer.from(ed25519.export({ type: "pkcs8", format: "pem" })),
  "ECDSA SEC1 PEM": p256.export({ type: "sec1", format: "pem" }),
  "RSA PKCS#1 PEM": rsa.export({ type: "pkcs1", format: "pem" }),
};

for (const [name, encoded] of Object.entries(encodings)) {
  test(`${name} is loaded and signs`, () => {
    const key = loadSigningKey(encoded);
    const [algorithm] = key.algorithms;
    assert.ok(algorithm);
    assert.ok(crypto.verify(key.publicKey, algorithm, data, key.sign(algorithm, data)));
    assert.deepEqual(crypto.signatureAlgorithms(key.publicKey), key.algorithms);
  });
}

function codeOf(encoded: string | Uint8Array): string {
  try {
    loadSigningKey(encoded);
  } catch (error) {
    assert.ok(error instanceof UsageError);
    return error.code;
  }
  return "loaded";
}

test("each unusable private key is refused with its own code", () => {
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
  const x25519 = generateKeyPairSync("x25519").privateKey;
  const encrypted = { type: "pkcs8", format: "pem", cipher: "aes-128-cbc", passphrase: "secret" } as const;
  assert.equal(codeOf(weak.export({ type: "pkcs8", format: "pem" })), "unsupportedPrivateKey");
  assert.equal(codeOf(x25519.export({ type: "pkcs8", format: "der" })), "unsupportedPrivateKey");
  assert.equal(codeOf(ed25519.export(encrypted)), "encryptedPrivateKey");
  assert.equal(codeOf("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "badPrivateKey");
  assert.equal(codeOf(""), "badPrivateKey");
  assert.equal(codeOf(Uint8Array.of(0x30, 0)), "badPrivateKey");
});
