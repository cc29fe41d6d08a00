/**
 * The Encrypted and Authenticated payload, RFC 7296 section 3.14 and RFC 5282:
 *
 *      IKE header (28) | Next Payload, C, Payload Length (4) | IV | encrypted payloads, padding, Pad Length | ICV
 *
 * AEAD: associated data = everything before the IV; nonce = salt | IV. Otherwise: ICV over everything before it.
 */

import { equalConstantTime } from "../bytes/bytes.ts";
import { UsageError } from "../bytes/errors.ts";
import { encodeEncryptedPrefix } from "../codec/codec.ts";
import { GENERIC_HEADER_BYTES } from "../codec/genericHeader.ts";
import { IKE_HEADER_BYTES } from "../codec/header.ts";
import type { EncryptedPayload, IkeHeader } from "../codec/message.ts";
import type { DirectionKeys } from "./keys.ts";
import type { CryptoProvider } from "./provider.ts";
import type { CipherSuite, Protection } from "./suite.ts";

type Aead = Extract<Protection, { kind: "aead" }>;
type EncryptThenMac = Extract<Protection, { kind: "encryptThenMac" }>;

/** What goes into an SK payload. */
export interface InnerPayloads {
  /** Type of the first payload inside; 0 when there is none (an empty INFORMATIONAL). */
  readonly firstPayload: number;
  /** The encoded chain of payloads. */
  readonly bytes: Uint8Array;
}

/** Octets before the IV. */
const prefixLength = IKE_HEADER_BYTES + GENERIC_HEADER_BYTES;

/**
 * A whole datagram whose only payload is SK. `ivCounter` is an integer below 2^64 that the caller never uses twice with
 * the same keys: with an AEAD a repeated IV breaks the cipher (RFC 5282 section 3.1). CBC draws its IV at random.
 */
export function protect(
  crypto: CryptoProvider,
  suite: CipherSuite,
  keys: DirectionKeys,
  ivCounter: number | bigint,
  header: IkeHeader,
  inner: InnerPayloads,
): Uint8Array {
  const { protection } = suite;
  return protection.kind === "aead"
    ? sealAead(crypto, protection, keys, ivCounter, header, inner)
    : encryptThenMac(crypto, protection, keys, header, inner);
}

/** The encoded payloads inside, or undefined for anything that does not authenticate or is not well formed. */
export function unprotect(
  crypto: CryptoProvider,
  suite: CipherSuite,
  keys: DirectionKeys,
  encrypted: EncryptedPayload,
): Uint8Array | undefined {
  const { protection } = suite;
  const plaintext =
    protection.kind === "aead"
      ? openAead(crypto, protection, keys, encrypted)
      : verifyAndDecrypt(crypto, protection, keys, encrypted);
  return plaintext === undefined ? undefined : withoutPadding(plaintext);
}

function sealAead(
  crypto: CryptoProvider,
  protection: Aead,
  keys: DirectionKeys,
  ivCounter: number | bigint,
  header: IkeHeader,
  inner: InnerPayloads,
): Uint8Array {
  const { keyLength, ivLength, icvLength } = protection;
  // RFC 5282 section 3: no padding is needed; the Pad Length octet is still there
  const plaintext = new Uint8Array(inner.bytes.length + 1);
  plaintext.set(inner.bytes);
  const datagram = startDatagram(header, inner.firstPayload, ivLength + plaintext.length + icvLength);
  const iv = datagram.subarray(prefixLength, prefixLength + ivLength);
  writeCounter(iv, ivCounter);
  const sealed = keys.skE.expose((key) =>
    crypto.aeadSeal(
      protection.cipher,
      key.subarray(0, keyLength),
      nonceOf(key.subarray(keyLength), iv),
      datagram.subarray(0, prefixLength),
      plaintext,
    ),
  );
  datagram.set(sealed, prefixLength + ivLength);
  return datagram;
}

function openAead(
  crypto: CryptoProvider,
  protection: Aead,
  keys: DirectionKeys,
  encrypted: EncryptedPayload,
): Uint8Array | undefined {
  const { keyLength, ivLength, icvLength } = protection;
  if (encrypted.body.length < ivLength + 1 + icvLength) return undefined;
  const iv = encrypted.body.subarray(0, ivLength);
  return keys.skE.expose((key) =>
    crypto.aeadOpen(
      protection.cipher,
      key.subarray(0, keyLength),
      nonceOf(key.subarray(keyLength), iv),
      encrypted.associatedData,
      encrypted.body.subarray(ivLength),
    ),
  );
}

function encryptThenMac(
  crypto: CryptoProvider,
  protection: EncryptThenMac,
  keys: DirectionKeys,
  header: IkeHeader,
  inner: InnerPayloads,
): Uint8Array {
  const { ivLength, blockLength, icvLength } = protection;
  const padLength = blockLength - 1 - (inner.bytes.length % blockLength);
  const plaintext = new Uint8Array(inner.bytes.length + padLength + 1);
  plaintext.set(inner.bytes);
  plaintext[plaintext.length - 1] = padLength;
  const datagram = startDatagram(header, inner.firstPayload, ivLength + plaintext.length + icvLength);
  const iv = crypto.random(ivLength); // unpredictable, RFC 7296 section 3.14
  datagram.set(iv, prefixLength);
  const ciphertext = keys.skE.expose((key) => crypto.cbcEncrypt(key, iv, plaintext));
  datagram.set(ciphertext, prefixLength + ivLength);
  const icvOffset = datagram.length - icvLength;
  datagram.set(macOf(crypto, protection, keys, datagram.subarray(0, icvOffset)), icvOffset);
  return datagram;
}

function verifyAndDecrypt(
  crypto: CryptoProvider,
  protection: EncryptThenMac,
  keys: DirectionKeys,
  encrypted: EncryptedPayload,
): Uint8Array | undefined {
  const { ivLength, blockLength, icvLength } = protection;
  const { body } = encrypted;
  const icvOffset = body.length - icvLength;
  const ciphertextLength = icvOffset - ivLength;
  if (ciphertextLength < blockLength || ciphertextLength % blockLength !== 0) return undefined;
  const icv = macOf(crypto, protection, keys, encrypted.associatedData, body.subarray(0, icvOffset));
  if (!equalConstantTime(icv, body.subarray(icvOffset))) return undefined;
  const iv = body.subarray(0, ivLength);
  return keys.skE.expose((key) => crypto.cbcDecrypt(key, iv, body.subarray(ivLength, icvOffset)));
}

function withoutPadding(plaintext: Uint8Array): Uint8Array | undefined {
  const padLength = plaintext.at(-1);
  // RFC 7296 section 3.14: the recipient MUST accept any amount of padding that the field can express
  if (padLength === undefined || padLength + 1 > plaintext.length) return undefined;
  return plaintext.subarray(0, plaintext.length - 1 - padLength);
}

function macOf(
  crypto: CryptoProvider,
  protection: EncryptThenMac,
  keys: DirectionKeys,
  ...data: readonly Uint8Array[]
): Uint8Array {
  return keys.skA.expose((key) => crypto.hmac(protection.hash, key, ...data)).subarray(0, protection.icvLength);
}

function nonceOf(salt: Uint8Array, iv: Uint8Array): Uint8Array {
  const nonce = new Uint8Array(salt.length + iv.length);
  nonce.set(salt);
  nonce.set(iv, salt.length);
  return nonce;
}

function writeCounter(iv: Uint8Array, counter: number | bigint): void {
  const isExhausted = typeof counter === "number" ? !Number.isSafeInteger(counter) : counter >= 1n << 64n;
  if (isExhausted || counter < 0) throw new UsageError("ivExhausted", "an IV counter ends at 2^64 - 1");
  new DataView(iv.buffer, iv.byteOffset, iv.length).setBigUint64(0, BigInt(counter));
}

/** IKE header and SK generic header of a datagram that is otherwise still empty. */
function startDatagram(header: IkeHeader, firstPayload: number, bodyLength: number): Uint8Array {
  const prefix = encodeEncryptedPrefix(header, firstPayload, bodyLength);
  const datagram = new Uint8Array(prefix.length + bodyLength);
  datagram.set(prefix);
  return datagram;
}
