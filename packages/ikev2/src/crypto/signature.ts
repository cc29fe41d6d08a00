/** Signature algorithms on the wire: AlgorithmIdentifiers (RFC 7427), hash numbers, and the older methods of RFC 4754. */

import { concat, equalBytes } from "../bytes/bytes.ts";
import { unhex } from "../bytes/hex.ts";
import { AuthenticationMethod } from "../registry/authenticationMethod.ts";
import { HashAlgorithm } from "../registry/hashAlgorithm.ts";
import type { SignatureAlgorithm } from "./provider.ts";

/** Hashes that we accept in signatures; SHA-1 is not among them (RFC 8247 section 3.2). */
export const supportedSignatureHashes: readonly number[] = [
  HashAlgorithm.SHA2_256,
  HashAlgorithm.SHA2_384,
  HashAlgorithm.SHA2_512,
  HashAlgorithm.IDENTITY,
];

/** The number in SIGNATURE_HASH_ALGORITHMS that a peer must have sent for this algorithm to be used towards it. */
export function hashOfSignature(algorithm: SignatureAlgorithm): number {
  switch (algorithm) {
    case "ed25519":
      return HashAlgorithm.IDENTITY; // RFC 8420 section 2
    case "ecdsa-sha256":
    case "rsa-pss-sha256":
    case "rsa-sha256":
      return HashAlgorithm.SHA2_256;
    case "ecdsa-sha384":
    case "rsa-pss-sha384":
    case "rsa-sha384":
      return HashAlgorithm.SHA2_384;
    case "ecdsa-sha512":
    case "rsa-pss-sha512":
    case "rsa-sha512":
      return HashAlgorithm.SHA2_512;
  }
}

/** The AlgorithmIdentifier (DER) that stands in an AUTH payload of method 14. */
export function algorithmIdentifierOf(algorithm: SignatureAlgorithm): Uint8Array {
  return identifiers[algorithm];
}

export interface DigitalSignature {
  /** Undefined: an AlgorithmIdentifier that we do not know. */
  readonly algorithm: SignatureAlgorithm | undefined;
  readonly signature: Uint8Array;
}

/** Authentication Data of method 14: ASN.1 Length | AlgorithmIdentifier | Signature Value, RFC 7427 section 3. */
export function parseDigitalSignature(data: Uint8Array): DigitalSignature | undefined {
  const length = data[0];
  if (length === undefined || length === 0 || data.length <= 1 + length) return undefined;
  const identifier = data.subarray(1, 1 + length);
  const known = acceptedIdentifiers.find((candidate) => equalBytes(candidate.octets, identifier));
  return { algorithm: known?.algorithm, signature: data.subarray(1 + length) };
}

export interface LegacyMethod {
  readonly method: number;
  readonly algorithm: SignatureAlgorithm;
  /** Octets of r and of s. */
  readonly orderLength: number;
}

/** RFC 4754: the authentication method that belongs to the curve of this key (SubjectPublicKeyInfo), if any. */
export function legacyMethodOf(publicKey: Uint8Array): LegacyMethod | undefined {
  return legacyMethods.find(({ prefix }) => equalBytes(prefix, publicKey.subarray(0, prefix.length)))?.legacy;
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return tagged(0x30, ...parts);
}

/** Lengths below 128 only, which all of these are. */
function tagged(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concat(...parts);
  return concat(Uint8Array.of(tag, content.length), content);
}

const derNull = unhex("0500");
const mgf1 = unhex("06092a864886f70d010108");
const rsassaPss = unhex("06092a864886f70d01010a");

type Sha2 = "sha256" | "sha384" | "sha512";

/** Last octet of the object identifiers of one hash: 2.16.840.1.101.3.4.2.n, ecdsa-with-SHA2 n, pkcs-1 n. */
const hashes: Readonly<Record<Sha2, { nist: number; ecdsa: number; pkcs1: number; length: number }>> = {
  sha256: { nist: 1, ecdsa: 2, pkcs1: 11, length: 32 },
  sha384: { nist: 2, ecdsa: 3, pkcs1: 12, length: 48 },
  sha512: { nist: 3, ecdsa: 4, pkcs1: 13, length: 64 },
};

function ecdsa(hash: Sha2): Uint8Array {
  return sequence(unhex("06082a8648ce3d0403"), Uint8Array.of(hashes[hash].ecdsa));
}

/** Parameters are required and must be NULL, RFC 7427 appendix A.1. */
function rsaPkcs1(hash: Sha2): Uint8Array {
  return sequence(unhex("06092a864886f70d0101"), Uint8Array.of(hashes[hash].pkcs1), derNull);
}

interface PssForm {
  readonly hashHasNull: boolean;
  readonly hasTrailer: boolean;
}

/** RFC 7427 appendix A.4.3: the hash, MGF1 with the same hash, a salt as long as the hash, trailer field 1. */
function rsaPss(hash: Sha2, form: PssForm): Uint8Array {
  const { nist, length } = hashes[hash];
  const oid = concat(unhex("06096086480165030402"), Uint8Array.of(nist));
  const hashIdentifier = form.hashHasNull ? sequence(oid, derNull) : sequence(oid);
  const trailer = form.hasTrailer ? [tagged(0xa3, unhex("020101"))] : [];
  const parameters = sequence(
    tagged(0xa0, hashIdentifier),
    tagged(0xa1, sequence(mgf1, hashIdentifier)),
    tagged(0xa2, Uint8Array.of(2, 1, length)),
    ...trailer,
  );
  return sequence(rsassaPss, parameters);
}

const appendixA: PssForm = { hashHasNull: true, hasTrailer: true };

const identifiers: Readonly<Record<SignatureAlgorithm, Uint8Array>> = {
  ed25519: sequence(unhex("06032b6570")), // RFC 8420 appendix A
  "ecdsa-sha256": ecdsa("sha256"),
  "ecdsa-sha384": ecdsa("sha384"),
  "ecdsa-sha512": ecdsa("sha512"),
  "rsa-pss-sha256": rsaPss("sha256", appendixA),
  "rsa-pss-sha384": rsaPss("sha384", appendixA),
  "rsa-pss-sha512": rsaPss("sha512", appendixA),
  "rsa-sha256": rsaPkcs1("sha256"),
  "rsa-sha384": rsaPkcs1("sha384"),
  "rsa-sha512": rsaPkcs1("sha512"),
};

interface AcceptedIdentifier {
  readonly algorithm: SignatureAlgorithm;
  readonly octets: Uint8Array;
}

/** What others may send for the same RSASSA-PSS: DER leaves defaults out, RFC 4055 section 2.1 allows absent parameters. */
function pssVariants(algorithm: SignatureAlgorithm, hash: Sha2): readonly AcceptedIdentifier[] {
  return [true, false].flatMap((hashHasNull) =>
    [true, false].map((hasTrailer) => ({ algorithm, octets: rsaPss(hash, { hashHasNull, hasTrailer }) })),
  );
}

const acceptedIdentifiers: readonly AcceptedIdentifier[] = [
  { algorithm: "ed25519", octets: identifiers.ed25519 },
  { algorithm: "ecdsa-sha256", octets: identifiers["ecdsa-sha256"] },
  { algorithm: "ecdsa-sha384", octets: identifiers["ecdsa-sha384"] },
  { algorithm: "ecdsa-sha512", octets: identifiers["ecdsa-sha512"] },
  { algorithm: "rsa-sha256", octets: identifiers["rsa-sha256"] },
  { algorithm: "rsa-sha384", octets: identifiers["rsa-sha384"] },
  { algorithm: "rsa-sha512", octets: identifiers["rsa-sha512"] },
  ...pssVariants("rsa-pss-sha256", "sha256"),
  ...pssVariants("rsa-pss-sha384", "sha384"),
  ...pssVariants("rsa-pss-sha512", "sha512"),
];

/** Beginnings of a SubjectPublicKeyInfo on the three curves, up to and including the 04 of the uncompressed point. */
const legacyMethods: readonly { readonly prefix: Uint8Array; readonly legacy: LegacyMethod }[] = [
  {
    prefix: unhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"),
    legacy: { method: AuthenticationMethod.ECDSA_SHA256_P256, algorithm: "ecdsa-sha256", orderLength: 32 },
  },
  {
    prefix: unhex("3076301006072a8648ce3d020106052b8104002203620004"),
    legacy: { method: AuthenticationMethod.ECDSA_SHA384_P384, algorithm: "ecdsa-sha384", orderLength: 48 },
  },
  {
    prefix: unhex("30819b301006072a8648ce3d020106052b810400230381860004"),
    legacy: { method: AuthenticationMethod.ECDSA_SHA512_P521, algorithm: "ecdsa-sha512", orderLength: 66 },
  },
];
