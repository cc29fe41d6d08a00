import { EncryptionAlgorithm } from "../registry/encryptionAlgorithm.ts";
import { IntegrityAlgorithm } from "../registry/integrityAlgorithm.ts";
import { KeyExchangeMethod } from "../registry/keyExchangeMethod.ts";
import { PseudorandomFunction } from "../registry/pseudorandomFunction.ts";
import type { AeadName, HashName } from "./provider.ts";

/** The transforms of one IKE SA as numbers of the registry (RFC 7296 section 3.3.2). */
export interface SuiteTransforms {
  readonly encryption: { readonly id: number; readonly keyLengthBits?: number };
  /** Undefined or 0 (NONE) for AEAD. */
  readonly integrity?: number;
  readonly prf: number;
  readonly keyExchange: number;
}

/** A pseudorandom function, RFC 7296 section 2.13. All that we know are HMACs. Lengths in octets. */
export interface Prf {
  readonly id: number;
  readonly name: string;
  readonly hash: HashName;
  readonly outputLength: number;
  /** The preferred key size: the output length for the HMACs (RFC 2104, RFC 4868 section 2.1.2). */
  readonly keyLength: number;
}

/** How the SK payload is protected. Lengths in octets. */
export type Protection =
  /** RFC 5282: SK_e is the cipher key followed by the salt; there is no SK_a. */
  | {
      readonly kind: "aead";
      readonly cipher: AeadName;
      readonly keyLength: number;
      readonly saltLength: number;
      readonly ivLength: number;
      readonly icvLength: number;
    }
  /** RFC 7296 section 3.14: AES-CBC, then a truncated HMAC over the whole message. */
  | {
      readonly kind: "encryptThenMac";
      readonly keyLength: number;
      readonly ivLength: number;
      readonly blockLength: number;
      readonly hash: HashName;
      readonly integrityKeyLength: number;
      readonly icvLength: number;
    };

/** Everything that the keys and the SK payload of one IKE SA need to know about its algorithms. */
export interface CipherSuite {
  readonly transforms: SuiteTransforms;
  readonly protection: Protection;
  readonly prf: Prf;
  /** For people: "AES-GCM-16-128, PRF-HMAC-SHA2-256, X25519". */
  readonly text: string;
}

/** The suite for these transforms, or undefined when one of them, or their combination, is not supported. */
export function resolveSuite(transforms: SuiteTransforms): CipherSuite | undefined {
  const protection = protectionOf(transforms);
  const prf = prfOf(transforms.prf);
  const keyExchange = keyExchangeNames.get(transforms.keyExchange);
  if (protection === undefined || prf === undefined || keyExchange === undefined) return undefined;
  if (prf.hash === "sha1") return undefined; // known for test vectors only
  return {
    transforms,
    protection: protection.parameters,
    prf,
    text: [protection.name, prf.name, keyExchange].join(", "),
  };
}

/** The PRF with this transform id; PRF_HMAC_SHA1 is known for test vectors and never part of a suite that is offered. */
export function prfOf(id: number): Prf | undefined {
  return prfs.get(id);
}

/** True for the encryption algorithms that we know and that bring their own integrity (RFC 5282, RFC 7634). */
export function isAead(encryptionId: number): boolean {
  return ciphers.some((cipher) => cipher.id === encryptionId && cipher.parameters.kind === "aead");
}

interface Cipher {
  readonly id: number;
  /** The Key Length attribute, or undefined where the key size is fixed. */
  readonly keyLengthBits?: number;
  readonly name: string;
  /** For encryptThenMac: as with AUTH_HMAC_SHA2_256_128. */
  readonly parameters: Protection;
}

function aes(id: number, keyLengthBits: 128 | 256, name: string, parameters: Protection): Cipher {
  return { id, keyLengthBits, name: `${name}-${keyLengthBits}`, parameters };
}

function gcm(cipher: AeadName, keyLength: number): Protection {
  // RFC 5282 section 4: a salt of 4 octets, an IV of 8, and for the _16 variant an ICV of 16
  return { kind: "aead", cipher, keyLength, saltLength: 4, ivLength: 8, icvLength: 16 };
}

function cbc(keyLength: number): Protection {
  return {
    kind: "encryptThenMac",
    keyLength,
    ivLength: 16,
    blockLength: 16,
    hash: "sha256",
    integrityKeyLength: 32, // RFC 4868 section 2.1.1
    icvLength: 16,
  };
}

const ciphers: readonly Cipher[] = [
  aes(EncryptionAlgorithm.ENCR_AES_GCM_16, 128, "AES-GCM-16", gcm("aes-128-gcm", 16)),
  aes(EncryptionAlgorithm.ENCR_AES_GCM_16, 256, "AES-GCM-16", gcm("aes-256-gcm", 32)),
  {
    id: EncryptionAlgorithm.ENCR_CHACHA20_POLY1305,
    name: "CHACHA20-POLY1305",
    parameters: gcm("chacha20-poly1305", 32), // the same lengths: RFC 7634 section 2
  },
  aes(EncryptionAlgorithm.ENCR_AES_CBC, 128, "AES-CBC", cbc(16)),
  aes(EncryptionAlgorithm.ENCR_AES_CBC, 256, "AES-CBC", cbc(32)),
];

const prfs: ReadonlyMap<number, Prf> = new Map(
  [
    hmacPrf(PseudorandomFunction.PRF_HMAC_SHA1, "sha1", 20, "PRF-HMAC-SHA1"),
    hmacPrf(PseudorandomFunction.PRF_HMAC_SHA2_256, "sha256", 32, "PRF-HMAC-SHA2-256"),
    hmacPrf(PseudorandomFunction.PRF_HMAC_SHA2_384, "sha384", 48, "PRF-HMAC-SHA2-384"),
    hmacPrf(PseudorandomFunction.PRF_HMAC_SHA2_512, "sha512", 64, "PRF-HMAC-SHA2-512"),
  ].map((prf) => [prf.id, prf]),
);

function hmacPrf(id: number, hash: HashName, outputLength: number, name: string): Prf {
  return { id, name, hash, outputLength, keyLength: outputLength };
}

const keyExchangeNames: ReadonlyMap<number, string> = new Map([
  [KeyExchangeMethod.CURVE25519, "X25519"],
  [KeyExchangeMethod.ECP_256, "ECP-256"],
  [KeyExchangeMethod.ECP_384, "ECP-384"],
  [KeyExchangeMethod.MODP_2048, "MODP-2048"],
]);

function protectionOf(
  transforms: SuiteTransforms,
): { readonly parameters: Protection; readonly name: string } | undefined {
  const { id, keyLengthBits } = transforms.encryption;
  const cipher = ciphers.find((candidate) => candidate.id === id && candidate.keyLengthBits === keyLengthBits);
  const integrity = transforms.integrity ?? IntegrityAlgorithm.NONE;
  if (cipher === undefined) return undefined;
  // RFC 7296 section 3.3: an integrity algorithm never accompanies an AEAD, and always any other cipher
  if (cipher.parameters.kind === "aead") {
    return integrity === IntegrityAlgorithm.NONE ? cipher : undefined;
  }
  if (integrity !== IntegrityAlgorithm.AUTH_HMAC_SHA2_256_128) return undefined;
  return { parameters: cipher.parameters, name: `${cipher.name}, HMAC-SHA2-256-128` };
}
