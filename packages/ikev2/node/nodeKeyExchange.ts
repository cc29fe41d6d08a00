/**
 * Key exchange on node:crypto. Measured with Node 24.21 on two cores of a virtual machine, in µs:
 *
 *                generate  export  import peer  agree
 *   X25519          34        1        12         36
 *   ECP-256         21       19        40         59
 *   ECP-384        610       18        50        630
 *   MODP-2048      283        -         -        285
 *
 * Raw formats export 20 times faster than DER for X25519 and twice for the ECP groups. Importing costs much the same in
 * all formats that come as an object, because createPublicKey first asks by exception whether the object is a key; a
 * text is none, so an X25519 key as PEM imports in half the time. The ECDH class takes twice as long as KeyObjects.
 */
import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  getDiffieHellman,
  type KeyObject,
  type KeyPairKeyObjectResult,
} from "node:crypto";
import { compareBytes, concat } from "../src/bytes/bytes.ts";
import { Secret } from "../src/bytes/secret.ts";
import type { KeyExchange } from "../src/crypto/provider.ts";
import { KeyExchangeMethod } from "../src/registry/keyExchangeMethod.ts";
import { plain } from "./plain.ts";

/**
 * A key pair for a Key Exchange Method, undefined for methods that are not supported. `privateKey` fixes the private
 * value: for test vectors only, and not possible for MODP groups.
 */
export function nodeKeyExchange(method: number, privateKey?: Uint8Array): KeyExchange | undefined {
  switch (method) {
    case KeyExchangeMethod.CURVE25519:
      return curve25519(privateKey);
    case KeyExchangeMethod.ECP_256:
      return ecp("prime256v1", 32, privateKey);
    case KeyExchangeMethod.ECP_384:
      return ecp("secp384r1", 48, privateKey);
    case KeyExchangeMethod.MODP_2048:
      return privateKey === undefined ? modp2048() : undefined;
    default:
      return undefined;
  }
}

/** RFC 8031. */
function curve25519(privateValue: Uint8Array | undefined): KeyExchange {
  const { privateKey, publicKey } =
    privateValue === undefined
      ? generateKeyPairSync("x25519")
      : pairOf({ key: Buffer.from(privateValue), format: "raw-private", asymmetricKeyType: "x25519" });
  const publicValue = plain(publicKey.export({ format: "raw-public" }));
  return {
    publicValue,
    agree: (peer) => {
      if (peer.length !== 32) return undefined;
      const secret = agree(privateKey, () => createPublicKey(x25519Pem(peer)));
      // RFC 7748 section 6.1: an all-zero result comes from a point of small order
      return secret === undefined || secret.every((octet) => octet === 0) ? undefined : new Secret(secret);
    },
  };
}

/** SubjectPublicKeyInfo of RFC 8410 section 4 around the 32 octets. */
function x25519Pem(publicValue: Uint8Array): string {
  const base64 = Buffer.concat([x25519Prefix, publicValue]).toString("base64");
  return `-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`;
}

const x25519Prefix = Buffer.from("302a300506032b656e032100", "hex");

/** RFC 5903: public values are x | y, the shared secret is x. Points off the curve are refused while importing. */
function ecp(namedCurve: string, fieldLength: number, privateValue: Uint8Array | undefined): KeyExchange {
  const asymmetricKeyType = "ec";
  const { privateKey, publicKey } =
    privateValue === undefined
      ? generateKeyPairSync("ec", { namedCurve })
      : pairOf({ key: Buffer.from(privateValue), format: "raw-private", asymmetricKeyType, namedCurve });
  const point = plain(publicKey.export({ format: "raw-public" }));
  return {
    publicValue: point.slice(1),
    agree: (peer) => {
      if (peer.length !== 2 * fieldLength) return undefined;
      const uncompressed = Buffer.from(concat(Uint8Array.of(4), peer));
      // RFC 6989 section 2.3: the point MUST be on the curve
      const secret = agree(privateKey, () =>
        createPublicKey({ key: uncompressed, format: "raw-public", asymmetricKeyType, namedCurve }),
      );
      return secret === undefined ? undefined : new Secret(secret);
    },
  };
}

function pairOf(input: Parameters<typeof createPrivateKey>[0]): KeyPairKeyObjectResult {
  const privateKey = createPrivateKey(input);
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

function agree(privateKey: KeyObject, importPeer: () => KeyObject): Uint8Array | undefined {
  try {
    return plain(diffieHellman({ privateKey, publicKey: importPeer() }));
  } catch {
    return undefined;
  }
}

const modp2048Length = 256;
const modp2048Prime = plain(getDiffieHellman("modp14").getPrime());

/** RFC 3526 section 3. Public values and secrets are as long as the modulus (RFC 7296 sections 2.14 and 3.4). */
function modp2048(): KeyExchange {
  const pair = getDiffieHellman("modp14");
  return {
    publicValue: leftPadded(pair.generateKeys(), modp2048Length),
    agree: (peer) => {
      if (peer.length !== modp2048Length || !isProperElement(peer, modp2048Prime)) return undefined;
      return new Secret(leftPadded(pair.computeSecret(peer), modp2048Length));
    },
  };
}

/** RFC 6989 section 2.1: for a safe prime p the peer's value r MUST be 1 < r < p-1. */
function isProperElement(value: Uint8Array, prime: Uint8Array): boolean {
  const isAboveOne = value.some((octet, index) => octet > (index === value.length - 1 ? 1 : 0));
  const primeMinusOne = prime.with(prime.length - 1, (prime.at(-1) ?? 0) - 1); // p is odd
  return isAboveOne && compareBytes(value, primeMinusOne) < 0;
}

function leftPadded(value: Uint8Array, length: number): Uint8Array {
  const padded = new Uint8Array(length);
  padded.set(value, length - value.length);
  return padded;
}
