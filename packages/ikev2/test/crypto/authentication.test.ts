import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { NodeCryptoProvider } from "../../node/nodeCryptoProvider.ts";
import { loadSigningKey } from "../../node/signingKey.ts";
import { concat } from "../../src/bytes/bytes.ts";
import { hex, unhex } from "../../src/bytes/hex.ts";
import { Secret } from "../../src/bytes/secret.ts";
import { utf8Encode } from "../../src/bytes/utf8.ts";
import {
  type AuthFields,
  createAuth,
  decodeSignatureHashAlgorithms,
  encodeSignatureHashAlgorithms,
  type PeerCredential,
  signedOctets,
  verifyAuth,
} from "../../src/crypto/authentication.ts";
import type { SignatureAlgorithm, SigningKey } from "../../src/crypto/provider.ts";
import { algorithmIdentifierOf } from "../../src/crypto/signature.ts";
import { suites } from "./suites.ts";

const crypto = new NodeCryptoProvider();
const { prf } = suites.aesGcm128;
const psk = new Secret(Uint8Array.from({ length: 32 }, (_, n) => n * 7));
const octets = utf8Encode("InitiatorSignedOctets");

const keys: Readonly<Record<string, SigningKey>> = {
  Ed25519: generate("ed25519"),
  "ECDSA P-256": generate("ec", "P-256"),
  "ECDSA P-384": generate("ec", "P-384"),
  "ECDSA P-521": generate("ec", "P-521"),
  "RSA-2048": generate("rsa"),
};

function generate(type: "ed25519" | "ec" | "rsa", namedCurve = "P-256"): SigningKey {
  const privateKeyEncoding = { type: "pkcs8", format: "pem" } as const;
  const publicKeyEncoding = { type: "spki", format: "der" } as const;
  switch (type) {
    case "ed25519":
      return loadSigningKey(generateKeyPairSync(type, { privateKeyEncoding, publicKeyEncoding }).privateKey);
    case "ec":
      return loadSigningKey(
        generateKeyPairSync(type, { namedCurve, privateKeyEncoding, publicKeyEncoding }).privateKey,
      );
    case "rsa":
      return loadSigningKey(
        generateKeyPairSync(type, { modulusLength: 2048, privateKeyEncoding, publicKeyEncoding }).privateKey,
      );
  }
}

function key(name: string): SigningKey {
  return keys[name] ?? assert.fail(name);
}

function peer(signingKey: SigningKey): PeerCredential {
  return { kind: "publicKey", publicKey: signingKey.publicKey };
}

function sign(signingKey: SigningKey, hashes: readonly number[] | undefined): AuthFields {
  return createAuth(crypto, prf, { kind: "signature", key: signingKey }, octets, hashes) ?? assert.fail("no AUTH");
}

test("signed octets are RealMessage | Nonce | prf(SK_p, IDType | RESERVED | data) (RFC 7296 section 2.15)", () => {
  const realMessage = unhex("00112233");
  const peerNonce = unhex("445566");
  const identity = { idType: 2, data: utf8Encode("r1.example.net") };
  const skP = new Secret(new Uint8Array(32).fill(9));
  const mac = crypto.hmac("sha256", new Uint8Array(32).fill(9), unhex("02000000"), identity.data);
  const signed = signedOctets(crypto, prf, { realMessage, peerNonce, skP, identity });
  assert.equal(hex(signed), hex(concat(realMessage, peerNonce, mac)));
});

test("AUTH with a shared key is prf(prf(secret, pad), octets) (RFC 7296 section 2.15)", () => {
  const auth = createAuth(crypto, prf, { kind: "psk", secret: psk }, octets, undefined);
  const pad = crypto.hmac(
    "sha256",
    psk.expose((secret) => secret),
    utf8Encode("Key Pad for IKEv2"),
  );
  assert.deepEqual(auth, { method: 2, data: crypto.hmac("sha256", pad, octets) });
});

test("a shared key is verified, another one and other octets are refused (RFC 7296 section 2.15)", () => {
  const auth = createAuth(crypto, prf, { kind: "psk", secret: psk }, octets, undefined);
  assert.ok(auth);
  assert.equal(verifyAuth(crypto, prf, { kind: "psk", secret: psk }, octets, auth), undefined);
  const other = new Secret(new Uint8Array(32).fill(1));
  assert.equal(verifyAuth(crypto, prf, { kind: "psk", secret: other }, octets, auth), "wrongSignature");
  assert.equal(verifyAuth(crypto, prf, { kind: "psk", secret: psk }, utf8Encode("other"), auth), "wrongSignature");
  assert.equal(
    verifyAuth(crypto, prf, { kind: "psk", secret: psk }, octets, { method: 2, data: auth.data.subarray(1) }),
    "wrongSignature",
  );
});

test("the identity is part of what is signed: the same AUTH under another identity is refused", () => {
  const under = (name: string): Uint8Array =>
    signedOctets(crypto, prf, {
      realMessage: octets,
      peerNonce: octets,
      skP: new Secret(new Uint8Array(32)),
      identity: { idType: 2, data: utf8Encode(name) },
    });
  const ed25519 = key("Ed25519");
  const auth = createAuth(crypto, prf, { kind: "signature", key: ed25519 }, under("r1.example.net"), [5]);
  assert.ok(auth);
  assert.equal(verifyAuth(crypto, prf, peer(ed25519), under("r1.example.net"), auth), undefined);
  assert.equal(verifyAuth(crypto, prf, peer(ed25519), under("r2.example.net"), auth), "wrongSignature");
});

test("a method that does not fit the configured credential is refused, either way round", () => {
  const shared = createAuth(crypto, prf, { kind: "psk", secret: psk }, octets, undefined);
  assert.ok(shared);
  assert.equal(verifyAuth(crypto, prf, peer(key("Ed25519")), octets, shared), "methodNotAllowed");
  const signed = sign(key("Ed25519"), [5]);
  assert.equal(verifyAuth(crypto, prf, { kind: "psk", secret: psk }, octets, signed), "methodNotAllowed");
  for (const method of [1, 3, 12, 13, 201]) {
    assert.equal(verifyAuth(crypto, prf, peer(key("RSA-2048")), octets, { ...signed, method }), "methodNotAllowed");
  }
});

for (const [name, signingKey] of Object.entries(keys)) {
  test(`${name}: method 14 carries length, AlgorithmIdentifier and signature (RFC 7427 section 3)`, () => {
    const auth = sign(signingKey, [2, 3, 4, 5]);
    const identifier = algorithmIdentifierOf(signingKey.algorithms[0] ?? assert.fail());
    assert.equal(auth.method, 14);
    assert.equal(
      hex(auth.data.subarray(0, 1 + identifier.length)),
      hex(Uint8Array.of(identifier.length)) + hex(identifier),
    );
    assert.equal(verifyAuth(crypto, prf, peer(signingKey), octets, auth), undefined);
  });

  test(`${name}: another key, other octets and a changed signature are refused`, () => {
    const auth = sign(signingKey, [2, 3, 4, 5]);
    assert.equal(verifyAuth(crypto, prf, peer(signingKey), utf8Encode("other"), auth), "wrongSignature");
    const data = auth.data.with(auth.data.length - 1, (auth.data.at(-1) ?? 0) ^ 1);
    assert.equal(verifyAuth(crypto, prf, peer(signingKey), octets, { ...auth, data }), "wrongSignature");
    for (const [otherName, other] of Object.entries(keys)) {
      if (otherName !== name) assert.notEqual(verifyAuth(crypto, prf, peer(other), octets, auth), undefined, otherName);
    }
  });

  test(`${name}: every algorithm of the key signs and verifies under its own name only`, () => {
    for (const algorithm of signingKey.algorithms) {
      const signature = signingKey.sign(algorithm, octets);
      const verified = signingKey.algorithms.filter((other) =>
        crypto.verify(signingKey.publicKey, other, octets, signature),
      );
      assert.deepEqual(verified, [algorithm]);
    }
  });
}

test("the hash is one that the peer announced (RFC 7427 section 4, RFC 8420 section 2)", () => {
  const chosen = (name: string, hashes: readonly number[]): string | undefined => {
    const auth = createAuth(crypto, prf, { kind: "signature", key: key(name) }, octets, hashes);
    return key(name).algorithms.find((algorithm) => auth !== undefined && beginsWith(auth.data, algorithm));
  };
  assert.equal(chosen("ECDSA P-256", [2, 3, 4, 5]), "ecdsa-sha256");
  assert.equal(chosen("ECDSA P-256", [4]), "ecdsa-sha512");
  assert.equal(chosen("ECDSA P-384", [2]), "ecdsa-sha256");
  assert.equal(chosen("RSA-2048", [3]), "rsa-pss-sha384");
  assert.equal(chosen("Ed25519", [2, 3, 4]), undefined);
  assert.equal(chosen("ECDSA P-256", [1]), undefined); // SHA-1 alone
  assert.equal(chosen("RSA-2048", []), undefined);
});

function beginsWith(data: Uint8Array, algorithm: SignatureAlgorithm): boolean {
  const identifier = algorithmIdentifierOf(algorithm);
  return hex(data.subarray(1, 1 + identifier.length)) === hex(identifier);
}

test("SIGNATURE_HASH_ALGORITHMS lists SHA2-256, 384, 512 and Identity (RFC 7427 section 4)", () => {
  assert.equal(hex(encodeSignatureHashAlgorithms()), "0002000300040005");
  assert.deepEqual(decodeSignatureHashAlgorithms(unhex("000200050400")), [2, 5, 0x400]);
  assert.deepEqual(decodeSignatureHashAlgorithms(unhex("0002ff")), [2]);
});

const legacy = { "ECDSA P-256": [9, 64], "ECDSA P-384": [10, 96], "ECDSA P-521": [11, 132] } as const;
for (const [name, [method, length]] of Object.entries(legacy)) {
  test(`${name}: method ${method} with r | s towards a peer without SIGNATURE_HASH_ALGORITHMS (RFC 4754 section 7)`, () => {
    for (let attempt = 0; attempt < 40; attempt++) {
      const auth = sign(key(name), undefined);
      assert.deepEqual([auth.method, auth.data.length], [method, length]);
      assert.equal(verifyAuth(crypto, prf, peer(key(name)), octets, auth), undefined);
      assert.equal(verifyAuth(crypto, prf, peer(key(name)), utf8Encode("other"), auth), "wrongSignature");
      assert.equal(
        verifyAuth(crypto, prf, peer(key(name)), octets, { method, data: auth.data.subarray(1) }),
        "malformed",
      );
    }
  });
}

test("RFC 4754 ties the method to the curve", () => {
  const auth = sign(key("ECDSA P-256"), undefined);
  assert.equal(verifyAuth(crypto, prf, peer(key("ECDSA P-384")), octets, auth), "methodNotAllowed");
  assert.equal(verifyAuth(crypto, prf, peer(key("ECDSA P-256")), octets, { ...auth, method: 10 }), "methodNotAllowed");
});

test("Ed25519 and RSA have no method for a peer without SIGNATURE_HASH_ALGORITHMS", () => {
  for (const name of ["Ed25519", "RSA-2048"]) {
    assert.equal(createAuth(crypto, prf, { kind: "signature", key: key(name) }, octets, undefined), undefined);
  }
});

test("malformed Authentication Data of method 14 is refused (RFC 7427 section 3)", () => {
  const ed25519 = peer(key("Ed25519"));
  for (const data of ["", "00", "07300506032b6570", "ff300506032b657000", "0800"]) {
    assert.equal(verifyAuth(crypto, prf, ed25519, octets, { method: 14, data: unhex(data) }), "malformed", data);
  }
});

test("an AlgorithmIdentifier with SHA-1 or of another kind of key is refused (RFC 7427 section 4)", () => {
  const sha1WithRsa = unhex("300d06092a864886f70d0101050500");
  const data = concat(Uint8Array.of(sha1WithRsa.length), sha1WithRsa, new Uint8Array(256));
  assert.equal(verifyAuth(crypto, prf, peer(key("RSA-2048")), octets, { method: 14, data }), "algorithmNotAllowed");
  const auth = sign(key("Ed25519"), [5]);
  assert.equal(verifyAuth(crypto, prf, peer(key("ECDSA P-256")), octets, auth), "algorithmNotAllowed");
});

test("a public key that does not parse verifies nothing", () => {
  const credential: PeerCredential = { kind: "publicKey", publicKey: unhex("3000") };
  assert.equal(verifyAuth(crypto, prf, credential, octets, sign(key("Ed25519"), [5])), "algorithmNotAllowed");
});
