import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeCryptoProvider } from "../../node/nodeCryptoProvider.ts";
import { hex } from "../../src/bytes/hex.ts";
import { Secret } from "../../src/bytes/secret.ts";
import type { CertPayload } from "../../src/codec/message.ts";
import {
  certPayloads,
  credentialFingerprint,
  presentedCredential,
  publicKeyFingerprint,
} from "../../src/crypto/credential.ts";

const crypto = new NodeCryptoProvider();
/** An Ed25519 certificate and its SubjectPublicKeyInfo. */
const certificate = octets(
  "MIIBMTCB5KADAgECAhBdR2R9aJ/QpFBGn3rkc3i1MAUGAytlcDANMQswCQYDVQQDDAJDQTAeFw0yNjExMjEwNTEyMDJaFw0yNjEyMDIxOTE1MjJaMA0xCzAJBgNVBAMMAnIxMCowBQYDK2VwAyEA4WZ9JcVzhCmZiKLsq0mFAwCIVb0JzG2sqIQGArmDdiyjWjBYMAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeAMDgGA1UdEQQxMC+CDnIxLmV4YW1wbGUubmV0hwQKAAABhxAgAQ24AAAAAAAAAAAAAAABgQVhQGIuYzAFBgMrZXADQQBGv9xI0mG9wm9wNWcgRXeA/Orq/wd9jRr1Gg8feIBMaPC191ATVJuddWQUU0hmQ/0kZW9Xr+uPkwr++jansw0G",
);
const publicKey = octets("MCowBQYDK2VwAyEA4WZ9JcVzhCmZiKLsq0mFAwCIVb0JzG2sqIQGArmDdiw=");

function octets(base64: string): Uint8Array {
  return Uint8Array.from(Buffer.from(base64, "base64"));
}

function cert(encoding: number, data: Uint8Array): CertPayload {
  return { kind: "CERT", encoding, data };
}

test("a certificate gives its public key and the chain (RFC 7296 section 3.6)", () => {
  const other = cert(4, Uint8Array.of(1));
  const presented = presentedCredential(crypto, [cert(4, certificate), other]);
  assert.deepEqual(presented, { publicKey, chain: [certificate, other.data] });
});

test("a raw public key has no chain (RFC 7670 section 3)", () => {
  assert.deepEqual(presentedCredential(crypto, [cert(15, publicKey)]), { publicKey, chain: [] });
});

test("other encodings are passed over (RFC 7296 section 3.6)", () => {
  const others = [cert(7, Uint8Array.of(1)), cert(12, Uint8Array.of(2))];
  assert.deepEqual(presentedCredential(crypto, [...others, cert(15, publicKey)]), { publicKey, chain: [] });
  assert.equal(presentedCredential(crypto, others), undefined);
  assert.equal(presentedCredential(crypto, []), undefined);
});

test("what is no certificate has no credential, nor have too many of them", () => {
  assert.equal(presentedCredential(crypto, [cert(4, publicKey)]), undefined);
  assert.equal(presentedCredential(crypto, [cert(4, Uint8Array.from([...certificate, 0]))]), undefined);
  assert.equal(
    presentedCredential(
      crypto,
      Array.from({ length: 9 }, () => cert(4, certificate)),
    ),
    undefined,
  );
});

test("our CERT payloads: the chain, or the raw public key (RFC 7670 section 3)", () => {
  assert.deepEqual(certPayloads(publicKey, [certificate]), [cert(4, certificate)]);
  assert.deepEqual(certPayloads(publicKey, []), [cert(15, publicKey)]);
});

test("fingerprints name the credential and not its secret", () => {
  const fingerprint = hex(publicKeyFingerprint(crypto, publicKey));
  assert.equal(fingerprint, hex(crypto.digest("sha256", publicKey)));
  assert.equal(credentialFingerprint(crypto, { kind: "publicKey", publicKey }), `sha256:${fingerprint}`);
  const secret = new Secret(new Uint8Array(32).fill(7));
  const shown = credentialFingerprint(crypto, { kind: "psk", secret });
  assert.match(shown, /^psk:[0-9a-f]{16}$/);
  assert.notEqual(shown, credentialFingerprint(crypto, { kind: "psk", secret: new Secret(new Uint8Array(32)) }));
});
