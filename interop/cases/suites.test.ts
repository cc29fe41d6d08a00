import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  EncryptionAlgorithm,
  type IkeSuite,
  IntegrityAlgorithm,
  KeyExchangeMethod,
  PseudorandomFunction,
} from "@karp/ikev2";
import { Charon } from "../lib/charon.ts";
import { connect, makePair } from "../lib/pair.ts";

/** Word for charon's `proposals`, how charon and how we print it, and our transform. */
interface Algorithm<T> {
  readonly word: string;
  readonly charon: string;
  readonly karp: string;
  readonly transform: T;
}

const { ENCR_AES_GCM_16, ENCR_AES_CBC, ENCR_CHACHA20_POLY1305 } = EncryptionAlgorithm;

const ciphers: readonly Algorithm<IkeSuite["encryption"][number]>[] = [
  {
    word: "aes128gcm16",
    charon: "AES_GCM_16-128",
    karp: "AES-GCM-16-128",
    transform: { id: ENCR_AES_GCM_16, keyLengthBits: 128 },
  },
  {
    word: "aes256gcm16",
    charon: "AES_GCM_16-256",
    karp: "AES-GCM-16-256",
    transform: { id: ENCR_AES_GCM_16, keyLengthBits: 256 },
  },
  {
    word: "chacha20poly1305",
    charon: "CHACHA20_POLY1305",
    karp: "CHACHA20-POLY1305",
    transform: { id: ENCR_CHACHA20_POLY1305 },
  },
  {
    word: "aes128-sha256",
    charon: "AES_CBC-128 HMAC_SHA2_256_128",
    karp: "AES-CBC-128, HMAC-SHA2-256-128",
    transform: { id: ENCR_AES_CBC, keyLengthBits: 128 },
  },
  {
    word: "aes256-sha256",
    charon: "AES_CBC-256 HMAC_SHA2_256_128",
    karp: "AES-CBC-256, HMAC-SHA2-256-128",
    transform: { id: ENCR_AES_CBC, keyLengthBits: 256 },
  },
];

const prfs: readonly Algorithm<number>[] = [
  {
    word: "prfsha256",
    charon: "PRF_HMAC_SHA2_256",
    karp: "PRF-HMAC-SHA2-256",
    transform: PseudorandomFunction.PRF_HMAC_SHA2_256,
  },
  {
    word: "prfsha384",
    charon: "PRF_HMAC_SHA2_384",
    karp: "PRF-HMAC-SHA2-384",
    transform: PseudorandomFunction.PRF_HMAC_SHA2_384,
  },
  {
    word: "prfsha512",
    charon: "PRF_HMAC_SHA2_512",
    karp: "PRF-HMAC-SHA2-512",
    transform: PseudorandomFunction.PRF_HMAC_SHA2_512,
  },
];

const methods: readonly Algorithm<number>[] = [
  { word: "x25519", charon: "CURVE_25519", karp: "X25519", transform: KeyExchangeMethod.CURVE25519 },
  { word: "ecp256", charon: "ECP_256", karp: "ECP-256", transform: KeyExchangeMethod.ECP_256 },
  { word: "ecp384", charon: "ECP_384", karp: "ECP-384", transform: KeyExchangeMethod.ECP_384 },
  { word: "modp2048", charon: "MODP_2048", karp: "MODP-2048", transform: KeyExchangeMethod.MODP_2048 },
];

/** Each cipher with each key exchange method, and the PRFs in turn: every pair of algorithms occurs. */
const suites = ciphers.flatMap((cipher, row) =>
  methods.map((method, column) => {
    const prf = prfs[(row + column) % prfs.length];
    assert.ok(prf);
    return { cipher, prf, method };
  }),
);

describe("suites with a PSK", () => {
  let charon: Charon;
  before(async () => {
    charon = await Charon.start();
  });
  after(() => charon.stop());

  for (const { cipher, prf, method } of suites) {
    const isAead = cipher.transform.id !== ENCR_AES_CBC;
    const suite: IkeSuite = {
      encryption: [cipher.transform],
      integrity: isAead ? [] : [IntegrityAlgorithm.AUTH_HMAC_SHA2_256_128],
      prf: [prf.transform],
      keyExchange: [method.transform],
    };
    const proposal = `${cipher.word}-${prf.word}-${method.word}`;
    for (const by of ["karp", "charon"] as const) {
      test(`${proposal}, begun by ${by}`, async (t) => {
        const pair = await makePair(t, charon, { peer: { suites: [suite] }, connection: { proposals: [proposal] } });
        await connect(pair, by);
        const [ours, theirs] = [await pair.karp.established(), await charon.established(pair.ike)];
        assert.deepEqual([ours.initiatorSpi, ours.responderSpi], [theirs.initiatorSpi, theirs.responderSpi]);
        assert.equal(ours.suite, `${cipher.karp}, ${prf.karp}, ${method.karp}`);
        assert.equal(theirs.suite, `${cipher.charon} ${prf.charon} ${method.charon}`);
        // Both directions are understood under these keys, and those derived from them: an exchange begun by each end
        pair.karp.input({ kind: "rekeyIkeSa", peer: "charon" });
        await pair.karp.event("ikeSaRekeyed");
        await charon.rekeyed(pair.ike, theirs);
        await charon.command("terminate", { ike: pair.ike, timeout: "5000" });
        await pair.karp.gone();
      });
    }
  }
});
