import type { Secret } from "../bytes/secret.ts";

export type HashName = "sha1" | "sha256" | "sha384" | "sha512";
export type AeadName = "aes-128-gcm" | "aes-256-gcm" | "chacha20-poly1305";

/**
 * Everything cryptographic that the engine needs, synchronous, with no state of its own.
 * A fake for simulation implements the same interface. Lengths are in octets.
 */
export interface CryptoProvider {
  random(length: number): Uint8Array;
  digest(hash: HashName, ...data: readonly Uint8Array[]): Uint8Array;
  hmac(hash: HashName, key: Uint8Array, ...data: readonly Uint8Array[]): Uint8Array;
  /** Ciphertext | 16-octet tag. */
  aeadSeal(
    cipher: AeadName,
    key: Uint8Array,
    nonce: Uint8Array,
    associatedData: Uint8Array,
    plaintext: Uint8Array,
  ): Uint8Array;
  /** The plaintext, or undefined when the tag does not verify. */
  aeadOpen(
    cipher: AeadName,
    key: Uint8Array,
    nonce: Uint8Array,
    associatedData: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | undefined;
  /** AES-CBC without padding; key 16 or 32 octets, whole blocks only. */
  cbcEncrypt(key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Uint8Array;
  cbcDecrypt(key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array): Uint8Array;
  /** A fresh ephemeral key pair for a Key Exchange Method (registry number), or undefined when not supported. */
  generateKeyPair(keyExchangeMethod: number): KeyExchange | undefined;
  /**
   * Verifies a signature under a SubjectPublicKeyInfo (DER); false for any malformed input. ECDSA signatures are
   * Ecdsa-Sig-Values (DER); RSASSA-PSS has MGF1 with the same hash and a salt as long as the hash.
   */
  verify(publicKey: Uint8Array, algorithm: SignatureAlgorithm, data: Uint8Array, signature: Uint8Array): boolean;
  /** Signature algorithms that fit this SubjectPublicKeyInfo (DER), best first; empty when the key is of no use. */
  signatureAlgorithms(publicKey: Uint8Array): readonly SignatureAlgorithm[];
  /** SubjectPublicKeyInfo (DER) of an X.509 certificate (DER); undefined when it does not parse. No path validation. */
  publicKeyOfCertificate(certificate: Uint8Array): Uint8Array | undefined;
}

/** One side of an ephemeral key exchange. */
export interface KeyExchange {
  /** As it stands in Key Exchange Data of the KE payload. */
  readonly publicValue: Uint8Array;
  /** The shared secret, or undefined for a value that RFC 6989 or RFC 8031 refuses. */
  agree(peerPublicValue: Uint8Array): Secret | undefined;
}

/** RFC 7427 signature algorithms that we know; the AlgorithmIdentifier octets are in crypto/signature.ts. */
export type SignatureAlgorithm =
  | "ed25519"
  | "ecdsa-sha256"
  | "ecdsa-sha384"
  | "ecdsa-sha512"
  | "rsa-pss-sha256"
  | "rsa-pss-sha384"
  | "rsa-pss-sha512"
  | "rsa-sha256"
  | "rsa-sha384"
  | "rsa-sha512";

/** A private key that signs. In memory today, an HSM or agent later; synchronous. */
export interface SigningKey {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** Best first. */
  readonly algorithms: readonly SignatureAlgorithm[];
  /** In the forms that CryptoProvider.verify takes. */
  sign(algorithm: SignatureAlgorithm, data: Uint8Array): Uint8Array;
}
