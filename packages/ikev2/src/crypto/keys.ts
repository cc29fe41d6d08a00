import { concat } from "../bytes/bytes.ts";
import { UsageError } from "../bytes/errors.ts";
import { Secret } from "../bytes/secret.ts";
import { IntegrityAlgorithm } from "../registry/integrityAlgorithm.ts";
import type { CryptoProvider } from "./provider.ts";
import type { CipherSuite, Prf } from "./suite.ts";

/** IKE SA keys. Order and lengths as in RFC 7296 section 2.14. */
export interface IkeSaKeys {
  /** SK_d, from which Child SA keys and the next IKE SA's keys come. */
  readonly skD: Secret;
  /** SK_ai, SK_ar: integrity keys; empty for AEAD suites. */
  readonly skAi: Secret;
  readonly skAr: Secret;
  /** SK_ei, SK_er: encryption keys; for AEAD the salt follows the key (RFC 5282 section 7.1). */
  readonly skEi: Secret;
  readonly skEr: Secret;
  /** SK_pi, SK_pr: for the AUTH payload. */
  readonly skPi: Secret;
  readonly skPr: Secret;
}

/** The keys that protect one direction: what the sender of that direction encrypts with. */
export interface DirectionKeys {
  readonly skE: Secret;
  readonly skA: Secret;
}

export interface IkeSaKeyInputs {
  /** g^ir. */
  readonly sharedSecret: Secret;
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  readonly spiI: bigint;
  readonly spiR: bigint;
}

/** prf+ of RFC 7296 section 2.13, first `length` octets. Throws UsageError beyond 255 blocks. */
export function prfPlus(
  crypto: CryptoProvider,
  prf: Prf,
  key: Uint8Array,
  seed: Uint8Array,
  length: number,
): Uint8Array {
  // prf+ (K,S) = T1 | T2 | T3 | ...; T1 = prf (K, S | 0x01), Tn = prf (K, Tn-1 | S | n)
  if (length > 255 * prf.outputLength) throw new UsageError("tooLong", `prf+ cannot give ${length} octets`);
  const output = new Uint8Array(length);
  let previous: Uint8Array = new Uint8Array(0);
  let offset = 0;
  for (let counter = 1; offset < length; counter++) {
    const block = crypto.hmac(prf.hash, key, previous, seed, Uint8Array.of(counter));
    output.set(block.subarray(0, length - offset), offset);
    offset += block.length;
    previous.fill(0);
    previous = block;
  }
  previous.fill(0);
  return output;
}

/** Keys of the IKE SA that IKE_SA_INIT makes, RFC 7296 section 2.14. */
export function deriveIkeSaKeys(crypto: CryptoProvider, suite: CipherSuite, inputs: IkeSaKeyInputs): IkeSaKeys {
  // SKEYSEED = prf(Ni | Nr, g^ir)
  const skeyseed = inputs.sharedSecret.expose((secret) =>
    crypto.hmac(suite.prf.hash, concat(inputs.ni, inputs.nr), secret),
  );
  return expandIkeSaKeys(crypto, suite, skeyseed, inputs);
}

/**
 * Keys of the IKE SA that CREATE_CHILD_SA makes, RFC 7296 section 2.18. `oldPrf` and `oldSkD` are the old IKE SA's;
 * nonces, SPIs and `suite` are the new one's.
 */
export function deriveRekeyedIkeSaKeys(
  crypto: CryptoProvider,
  oldPrf: Prf,
  oldSkD: Secret,
  suite: CipherSuite,
  inputs: IkeSaKeyInputs,
): IkeSaKeys {
  // SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr), with the old IKE SA's prf
  const skeyseed = oldSkD.expose((skD) =>
    inputs.sharedSecret.expose((secret) => crypto.hmac(oldPrf.hash, skD, secret, inputs.ni, inputs.nr)),
  );
  return expandIkeSaKeys(crypto, suite, skeyseed, inputs);
}

export interface KeymatInputs {
  /** g^ir (new) of the CREATE_CHILD_SA exchange; absent without PFS and in IKE_AUTH. */
  readonly sharedSecret?: Secret;
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  readonly length: number;
}

/** KEYMAT of a Child SA, RFC 7296 section 2.17. The master key of an MKT is all of it: one key for both directions. */
export function deriveKeymat(crypto: CryptoProvider, prf: Prf, skD: Secret, inputs: KeymatInputs): Secret {
  const { sharedSecret, ni, nr, length } = inputs;
  // KEYMAT = prf+(SK_d, Ni | Nr), with PFS prf+(SK_d, g^ir (new) | Ni | Nr)
  const expand = (secret: Uint8Array): Uint8Array => {
    const seed = concat(secret, ni, nr);
    const keymat = skD.expose((key) => prfPlus(crypto, prf, key, seed, length));
    seed.fill(0);
    return keymat;
  };
  return new Secret(sharedSecret === undefined ? expand(new Uint8Array(0)) : sharedSecret.expose(expand));
}

/**
 * Octets of the TCP-AO master key that belong to an INTEG transform, or undefined when TCP-AO has no use for it.
 * RFC 5926 section 3.1.1: the KDF's key is as long as its output, 160 bits for HMAC-SHA-1 and 128 for AES-CMAC;
 * 256 for HMAC-SHA-256 by analogy (that one is private use between consenting peers).
 */
export function tcpAoMasterKeyLength(integrity: number): number | undefined {
  switch (integrity) {
    case IntegrityAlgorithm.AUTH_HMAC_SHA1_96:
      return 20;
    case IntegrityAlgorithm.AUTH_AES_CMAC_96:
      return 16;
    case IntegrityAlgorithm.AUTH_HMAC_SHA2_256_128:
      return 32;
    default:
      return undefined;
  }
}

/** The keys with which the given end of the IKE SA protects what it sends. */
export function sendingKeys(keys: IkeSaKeys, isOriginalInitiator: boolean): DirectionKeys {
  return isOriginalInitiator ? { skE: keys.skEi, skA: keys.skAi } : { skE: keys.skEr, skA: keys.skAr };
}

/** Overwrites all keys of an IKE SA that is gone. */
export function eraseIkeSaKeys(keys: IkeSaKeys): void {
  for (const key of [keys.skD, keys.skAi, keys.skAr, keys.skEi, keys.skEr, keys.skPi, keys.skPr]) key.erase();
}

function expandIkeSaKeys(
  crypto: CryptoProvider,
  suite: CipherSuite,
  skeyseed: Uint8Array,
  inputs: IkeSaKeyInputs,
): IkeSaKeys {
  // {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+ (SKEYSEED, Ni | Nr | SPIi | SPIr)
  const lengths = keyLengths(suite);
  const total = lengths.prf * 3 + lengths.integrity * 2 + lengths.encryption * 2;
  const seed = concat(inputs.ni, inputs.nr, spiOctets(inputs.spiI), spiOctets(inputs.spiR));
  const stream = prfPlus(crypto, suite.prf, skeyseed, seed, total);
  let offset = 0;
  const take = (length: number): Secret => {
    offset += length;
    return new Secret(stream.slice(offset - length, offset));
  };
  const keys: IkeSaKeys = {
    skD: take(lengths.prf),
    skAi: take(lengths.integrity),
    skAr: take(lengths.integrity),
    skEi: take(lengths.encryption),
    skEr: take(lengths.encryption),
    skPi: take(lengths.prf),
    skPr: take(lengths.prf),
  };
  stream.fill(0);
  skeyseed.fill(0);
  return keys;
}

function keyLengths(suite: CipherSuite): {
  readonly prf: number;
  readonly integrity: number;
  readonly encryption: number;
} {
  const { prf, protection } = suite;
  return protection.kind === "aead"
    ? { prf: prf.keyLength, integrity: 0, encryption: protection.keyLength + protection.saltLength }
    : { prf: prf.keyLength, integrity: protection.integrityKeyLength, encryption: protection.keyLength };
}

function spiOctets(spi: bigint): Uint8Array {
  const octets = new Uint8Array(8);
  new DataView(octets.buffer).setBigUint64(0, spi);
  return octets;
}
