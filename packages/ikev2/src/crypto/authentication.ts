import { concat, equalConstantTime } from "../bytes/bytes.ts";
import type { Secret } from "../bytes/secret.ts";
import { utf8Encode } from "../bytes/utf8.ts";
import { AuthenticationMethod } from "../registry/authenticationMethod.ts";
import { derFromRaw, rawFromDer } from "./ecdsaSignature.ts";
import type { CryptoProvider, SigningKey } from "./provider.ts";
import {
  algorithmIdentifierOf,
  hashOfSignature,
  legacyMethodOf,
  parseDigitalSignature,
  supportedSignatureHashes,
} from "./signature.ts";
import type { Prf } from "./suite.ts";

/** The fields of an AUTH payload, RFC 7296 section 3.8. */
export interface AuthFields {
  readonly method: number;
  readonly data: Uint8Array;
}

/** How we prove who we are. */
export type OwnCredential =
  | { readonly kind: "psk"; readonly secret: Secret }
  | { readonly kind: "signature"; readonly key: SigningKey };

/** What the peer's AUTH payload is checked with: a shared secret, or its public key (SubjectPublicKeyInfo, DER). */
export type PeerCredential =
  | { readonly kind: "psk"; readonly secret: Secret }
  | { readonly kind: "publicKey"; readonly publicKey: Uint8Array };

export interface SignedOctetsInputs {
  /** The sender's first IKE_SA_INIT message (with the cookie, if any), from the IKE header on. */
  readonly realMessage: Uint8Array;
  /** The nonce of the other end. */
  readonly peerNonce: Uint8Array;
  /** SK_pi for the initiator's octets, SK_pr for the responder's. */
  readonly skP: Secret;
  /** The sender's identity as in its ID payload. */
  readonly identity: { readonly idType: number; readonly data: Uint8Array };
}

export type AuthFailure =
  /** The method does not fit the credential that is configured for this peer. */
  | "methodNotAllowed"
  /** An algorithm that we do not know, did not announce, or that does not fit the key. */
  | "algorithmNotAllowed"
  | "wrongSignature"
  | "malformed";

/** The octets that AUTH covers, RFC 7296 section 2.15. */
export function signedOctets(crypto: CryptoProvider, prf: Prf, inputs: SignedOctetsInputs): Uint8Array {
  // InitiatorSignedOctets = RealMessage1 | NonceRData | MACedIDForI
  // RestOfInitIDPayload = IDType | RESERVED | InitIDData; MACedIDForI = prf(SK_pi, RestOfInitIDPayload)
  const { idType, data } = inputs.identity;
  const macedId = inputs.skP.expose((key) => crypto.hmac(prf.hash, key, Uint8Array.of(idType, 0, 0, 0), data));
  return concat(inputs.realMessage, inputs.peerNonce, macedId);
}

/**
 * Our AUTH payload. `peerHashes` is what the peer's SIGNATURE_HASH_ALGORITHMS said, undefined when it sent none: then
 * RFC 7427 section 4 forbids method 14 and only the methods of RFC 4754 are left. Undefined when no signature algorithm
 * of our key suits the peer.
 */
export function createAuth(
  crypto: CryptoProvider,
  prf: Prf,
  credential: OwnCredential,
  octets: Uint8Array,
  peerHashes: readonly number[] | undefined,
): AuthFields | undefined {
  if (credential.kind === "psk") {
    return { method: AuthenticationMethod.SHARED_KEY_MIC, data: pskAuth(crypto, prf, credential.secret, octets) };
  }
  return peerHashes === undefined
    ? createLegacySignature(credential.key, octets)
    : createDigitalSignature(credential.key, octets, peerHashes);
}

/** Judges the peer's AUTH payload; undefined when it is right, else what is wrong with it. */
export function verifyAuth(
  crypto: CryptoProvider,
  prf: Prf,
  credential: PeerCredential,
  octets: Uint8Array,
  auth: AuthFields,
): AuthFailure | undefined {
  if (credential.kind === "psk") {
    if (auth.method !== AuthenticationMethod.SHARED_KEY_MIC) return "methodNotAllowed";
    const expected = pskAuth(crypto, prf, credential.secret, octets);
    return equalConstantTime(expected, auth.data) ? undefined : "wrongSignature";
  }
  return auth.method === AuthenticationMethod.DIGITAL_SIGNATURE
    ? verifyDigitalSignature(crypto, credential.publicKey, octets, auth.data)
    : verifyLegacySignature(crypto, credential.publicKey, octets, auth);
}

/** Content of our SIGNATURE_HASH_ALGORITHMS notify, RFC 7427 section 4: all the hashes that we accept, 2 octets each. */
export function encodeSignatureHashAlgorithms(): Uint8Array {
  return Uint8Array.from(supportedSignatureHashes.flatMap((hash) => [hash >> 8, hash & 0xff]));
}

/** The hashes that the peer accepts; unknown numbers stay in the list, a trailing odd octet is ignored. */
export function decodeSignatureHashAlgorithms(data: Uint8Array): readonly number[] {
  return Array.from({ length: data.length >> 1 }, (_, n) => ((data[2 * n] ?? 0) << 8) | (data[2 * n + 1] ?? 0));
}

function pskAuth(crypto: CryptoProvider, prf: Prf, secret: Secret, octets: Uint8Array): Uint8Array {
  // AUTH = prf( prf(Shared Secret, "Key Pad for IKEv2"), <SignedOctets>), RFC 7296 section 2.15
  const key = secret.expose((shared) => crypto.hmac(prf.hash, shared, keyPad));
  const auth = crypto.hmac(prf.hash, key, octets);
  key.fill(0);
  return auth;
}

/** "Key Pad for IKEv2": 17 ASCII octets without a terminator. */
const keyPad = utf8Encode("Key Pad for IKEv2");

function createDigitalSignature(
  key: SigningKey,
  octets: Uint8Array,
  peerHashes: readonly number[],
): AuthFields | undefined {
  // RFC 7427 section 4: the hash MUST be one of those in the peer's SIGNATURE_HASH_ALGORITHMS
  const algorithm = key.algorithms.find((candidate) => peerHashes.includes(hashOfSignature(candidate)));
  if (algorithm === undefined) return undefined;
  const identifier = algorithmIdentifierOf(algorithm);
  const signature = key.sign(algorithm, octets);
  const data = concat(Uint8Array.of(identifier.length), identifier, signature);
  return { method: AuthenticationMethod.DIGITAL_SIGNATURE, data };
}

function verifyDigitalSignature(
  crypto: CryptoProvider,
  publicKey: Uint8Array,
  octets: Uint8Array,
  data: Uint8Array,
): AuthFailure | undefined {
  const parsed = parseDigitalSignature(data);
  if (parsed === undefined) return "malformed";
  const { algorithm, signature } = parsed;
  // every algorithm with a name here uses a hash that we announce, so SHA-1 ends here too (RFC 7427 section 4)
  if (algorithm === undefined || !crypto.signatureAlgorithms(publicKey).includes(algorithm)) {
    return "algorithmNotAllowed";
  }
  return crypto.verify(publicKey, algorithm, octets, signature) ? undefined : "wrongSignature";
}

/** RFC 4754 section 7: the signature is r | s, each as long as the order of the curve. */
function createLegacySignature(key: SigningKey, octets: Uint8Array): AuthFields | undefined {
  const legacy = legacyMethodOf(key.publicKey);
  if (legacy === undefined || !key.algorithms.includes(legacy.algorithm)) return undefined;
  const data = rawFromDer(key.sign(legacy.algorithm, octets), legacy.orderLength);
  return data === undefined ? undefined : { method: legacy.method, data };
}

function verifyLegacySignature(
  crypto: CryptoProvider,
  publicKey: Uint8Array,
  octets: Uint8Array,
  auth: AuthFields,
): AuthFailure | undefined {
  const legacy = legacyMethodOf(publicKey);
  if (legacy === undefined || legacy.method !== auth.method) return "methodNotAllowed";
  if (auth.data.length !== 2 * legacy.orderLength) return "malformed";
  return crypto.verify(publicKey, legacy.algorithm, octets, derFromRaw(auth.data)) ? undefined : "wrongSignature";
}
