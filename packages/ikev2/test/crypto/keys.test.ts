import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { NodeCryptoProvider } from "../../node/nodeCryptoProvider.ts";
import { concat } from "../../src/bytes/bytes.ts";
import { UsageError } from "../../src/bytes/errors.ts";
import { hex, unhex } from "../../src/bytes/hex.ts";
import { Secret } from "../../src/bytes/secret.ts";
import {
  deriveIkeSaKeys,
  deriveKeymat,
  deriveRekeyedIkeSaKeys,
  eraseIkeSaKeys,
  type IkeSaKeyInputs,
  type IkeSaKeys,
  prfPlus,
  sendingKeys,
  tcpAoMasterKeyLength,
} from "../../src/crypto/keys.ts";
import { type CipherSuite, type Prf, prfOf } from "../../src/crypto/suite.ts";
import { PseudorandomFunction } from "../../src/registry/pseudorandomFunction.ts";
import { suites } from "./suites.ts";

interface PrfVector {
  readonly name: string;
  readonly kind: "SKEYSEED" | "prf+";
  readonly prf: keyof typeof PseudorandomFunction;
  readonly gir: string;
  readonly nonces: string;
  readonly skeyseed: string;
  readonly key: string;
  readonly seed: string;
  readonly out: string;
}
interface Vectors {
  readonly prfVectors: readonly PrfVector[];
  readonly fullSha1: Readonly<Record<string, string>>;
}

const vectors = JSON.parse(readFileSync(new URL("../vectors/ikev2-kdf-cavp.json", import.meta.url), "utf8")) as Vectors;
const crypto = new NodeCryptoProvider();

function prfNamed(name: keyof typeof PseudorandomFunction): Prf {
  const prf = prfOf(PseudorandomFunction[name]);
  assert.ok(prf);
  return prf;
}

function sha1(name: string): Uint8Array {
  return unhex(vectors.fullSha1[name] ?? assert.fail(name));
}

function exposed(secret: Secret): Uint8Array {
  return secret.expose((octets) => octets.slice());
}

/** Everything that prf+ gave, in the order of RFC 7296 section 2.14. */
function keyStream(keys: IkeSaKeys): string {
  const order = [keys.skD, keys.skAi, keys.skAr, keys.skEi, keys.skEr, keys.skPi, keys.skPr];
  return hex(concat(...order.map(exposed)));
}

/** AES-GCM-256 takes 132 octets with a PRF of 20: just what the SHA-1 set gives. */
const sha1Suite: CipherSuite = { ...suites.aesGcm256, prf: prfNamed("PRF_HMAC_SHA1") };
const sha1Inputs: IkeSaKeyInputs = {
  sharedSecret: new Secret(sha1("gir")),
  ni: sha1("nInit"),
  nr: sha1("nResp"),
  spiI: BigInt(`0x${vectors.fullSha1["spiInit"]}`),
  spiR: BigInt(`0x${vectors.fullSha1["spiResp"]}`),
};

test("all 13 vectors of prf and prf+ are there (RFC 7296 section 2.13)", () => {
  assert.equal(vectors.prfVectors.length, 13);
});

for (const vector of vectors.prfVectors) {
  test(`${vector.kind} ${vector.name} (RFC 7296 section ${vector.kind === "prf+" ? "2.13" : "2.14"})`, () => {
    const prf = prfNamed(vector.prf);
    const computed =
      vector.kind === "SKEYSEED"
        ? crypto.hmac(prf.hash, unhex(vector.nonces), unhex(vector.gir))
        : prfPlus(crypto, prf, unhex(vector.key), unhex(vector.seed), vector.out.length / 2);
    assert.equal(hex(computed), vector.kind === "SKEYSEED" ? vector.skeyseed : vector.out);
  });
}

test("the SHA-1 set, 1 of 5: SKEYSEED = prf(Ni | Nr, g^ir) (RFC 7296 section 2.14)", () => {
  assert.equal(hex(crypto.hmac("sha1", concat(sha1("nInit"), sha1("nResp")), sha1("gir"))), hex(sha1("SKEYSEED")));
});

test("the SHA-1 set, 2 of 5: SK_d | SK_ai | ... | SK_pr (RFC 7296 section 2.14)", () => {
  assert.equal(keyStream(deriveIkeSaKeys(crypto, sha1Suite, sha1Inputs)), hex(sha1("DKM")));
});

test("the SHA-1 set, 3 of 5: KEYMAT = prf+(SK_d, Ni | Nr) (RFC 7296 section 2.17)", () => {
  const { skD } = deriveIkeSaKeys(crypto, sha1Suite, sha1Inputs);
  const expected = sha1("childKeymat");
  const keymat = deriveKeymat(crypto, sha1Suite.prf, skD, { ...nonces(), length: expected.length });
  assert.equal(hex(exposed(keymat)), hex(expected));
});

test("the SHA-1 set, 4 of 5: KEYMAT = prf+(SK_d, g^ir (new) | Ni | Nr) (RFC 7296 section 2.17)", () => {
  const { skD } = deriveIkeSaKeys(crypto, sha1Suite, sha1Inputs);
  const expected = sha1("childKeymatWithDh");
  const sharedSecret = new Secret(sha1("girNew"));
  const keymat = deriveKeymat(crypto, sha1Suite.prf, skD, { ...nonces(), sharedSecret, length: expected.length });
  assert.equal(hex(exposed(keymat)), hex(expected));
});

test("the SHA-1 set, 5 of 5: SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr) (RFC 7296 section 2.18)", () => {
  const { skD } = deriveIkeSaKeys(crypto, sha1Suite, sha1Inputs);
  const inputs = { ...sha1Inputs, sharedSecret: new Secret(sha1("girNew")) };
  const rekeyed = deriveRekeyedIkeSaKeys(crypto, sha1Suite.prf, skD, sha1Suite, inputs);
  const seed = concat(sha1("nInit"), sha1("nResp"), sha1("spiInit"), sha1("spiResp"));
  const expected = prfPlus(crypto, sha1Suite.prf, sha1("SKEYSEEDrekey"), seed, 132);
  assert.equal(keyStream(rekeyed), hex(expected));
});

test("the old prf makes SKEYSEED, the new one the keys (RFC 7296 section 2.18)", () => {
  const old = prfNamed("PRF_HMAC_SHA2_512");
  const skD = new Secret(new Uint8Array(64).fill(7));
  const keys = deriveRekeyedIkeSaKeys(crypto, old, skD, suites.aesGcm128, sha1Inputs);
  const skeyseed = crypto.hmac("sha512", new Uint8Array(64).fill(7), sha1("gir"), sha1("nInit"), sha1("nResp"));
  const seed = concat(sha1("nInit"), sha1("nResp"), sha1("spiInit"), sha1("spiResp"));
  assert.equal(keyStream(keys), hex(prfPlus(crypto, suites.aesGcm128.prf, skeyseed, seed, 136)));
});

test("key lengths follow the suite (RFC 7296 section 2.14, RFC 5282 section 7.1)", () => {
  const lengths = Object.values(suites).map((suite) => {
    const keys = deriveIkeSaKeys(crypto, suite, sha1Inputs);
    return [suite.text, keys.skD.length, keys.skAi.length, keys.skEr.length, keys.skPr.length];
  });
  assert.deepEqual(lengths, [
    ["AES-GCM-16-128, PRF-HMAC-SHA2-256, X25519", 32, 0, 20, 32],
    ["AES-GCM-16-256, PRF-HMAC-SHA2-384, ECP-384", 48, 0, 36, 48],
    ["CHACHA20-POLY1305, PRF-HMAC-SHA2-512, X25519", 64, 0, 36, 64],
    ["AES-CBC-128, HMAC-SHA2-256-128, PRF-HMAC-SHA2-256, MODP-2048", 32, 32, 16, 32],
    ["AES-CBC-256, HMAC-SHA2-256-128, PRF-HMAC-SHA2-256, ECP-256", 32, 32, 32, 32],
  ]);
});

test("the initiator sends with SK_ei and SK_ai, the responder with SK_er and SK_ar (RFC 7296 section 2.14)", () => {
  const keys = deriveIkeSaKeys(crypto, suites.aesCbc128, sha1Inputs);
  assert.deepEqual(sendingKeys(keys, true), { skE: keys.skEi, skA: keys.skAi });
  assert.deepEqual(sendingKeys(keys, false), { skE: keys.skEr, skA: keys.skAr });
});

test("prf+ ends at 255 blocks (RFC 7296 section 2.13)", () => {
  const prf = prfNamed("PRF_HMAC_SHA2_256");
  const key = new Uint8Array(32);
  assert.equal(prfPlus(crypto, prf, key, key, 255 * 32).length, 255 * 32);
  assert.throws(() => prfPlus(crypto, prf, key, key, 255 * 32 + 1), UsageError);
});

test("erased keys are zeros", () => {
  const keys = deriveIkeSaKeys(crypto, suites.aesCbc128, sha1Inputs);
  eraseIkeSaKeys(keys);
  assert.match(keyStream(keys), /^0+$/);
});

test("TCP-AO master keys are as long as the KDF's output (RFC 5926 section 3.1.1)", () => {
  assert.deepEqual([2, 8, 12, 5, 0].map(tcpAoMasterKeyLength), [20, 16, 32, undefined, undefined]);
});

function nonces(): { readonly ni: Uint8Array; readonly nr: Uint8Array } {
  return { ni: sha1("nInit"), nr: sha1("nResp") };
}
