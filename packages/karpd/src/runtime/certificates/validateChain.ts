/**
 * Path validation of a peer's certificates, RFC 5280 section 6 as far as router certificates use it: signatures, validity,
 * key usage, basic constraints and path length, name constraints, and the identity in the subjectAltName (RFC 4945).
 * Critical extensions beyond these refuse the path. Revocation is not looked up.
 */
import type { CertificateVerdict, Identity } from "@karp/ikev2";
import { equalBytes } from "@karp/ikev2";
import { findIssuers } from "./issuers.ts";
import { whyNotNamed } from "./nameBinding.ts";
import {
  keyPurposesOf,
  keyUsageOf,
  type ParsedCertificate,
  parseCertificate,
  unknownCriticalExtensions,
} from "./parsedCertificate.ts";
import { whyNotValidAt } from "./validity.ts";

export interface ChainInput {
  /** DER, end entity first, the others in any order. */
  readonly chain: readonly Uint8Array[];
  /** DER; usually CA certificates, but an end entity that is here is trusted as it is. */
  readonly trustAnchors: readonly Uint8Array[];
  /** Must be a name in the end entity's certificate. */
  readonly remoteIdentity: Identity;
  readonly at: Date;
}

/** Reasons are sentences for people; what the peer wrote is escaped in them. Never rejects. */
export async function validateChain(input: ChainInput): Promise<CertificateVerdict> {
  const reason = whyRefused(input);
  return reason === undefined ? { ok: true } : { ok: false, reason };
}

function whyRefused(input: ChainInput): string | undefined {
  const chain = input.chain.map(parseCertificate);
  const certificates = chain.filter((certificate) => certificate !== undefined);
  const [endEntity] = chain;
  if (endEntity === undefined) return "there is no certificate, or it does not parse";
  const anchors = input.trustAnchors.map(parseCertificate).filter((certificate) => certificate !== undefined);
  if (anchors.length === 0) return "no trust anchors are configured";
  return (
    whyNotValidAt(endEntity, input.at) ??
    whyNotForIke(endEntity) ??
    whyNotTrusted(endEntity, certificates, anchors, input.at) ??
    whyNotNamed(endEntity, input.remoteIdentity)
  );
}

function whyNotTrusted(
  endEntity: ParsedCertificate,
  certificates: readonly ParsedCertificate[],
  anchors: readonly ParsedCertificate[],
  at: Date,
): string | undefined {
  if (anchors.some(({ der }) => equalBytes(der, endEntity.der))) return undefined;
  return findIssuers(endEntity, { certificates, anchors, at });
}

/** Purposes with which others issue certificates for IKE: any, IKE, TLS server and client, and the old IPsec ones. */
const acceptedPurposes: readonly string[] = [
  "2.5.29.37.0",
  "1.3.6.1.5.5.7.3.17",
  "1.3.6.1.5.5.7.3.1",
  "1.3.6.1.5.5.7.3.2",
  "1.3.6.1.5.5.7.3.5",
  "1.3.6.1.5.5.7.3.6",
  "1.3.6.1.5.5.7.3.7",
  "1.3.6.1.5.5.8.2.2",
];

function whyNotForIke(certificate: ParsedCertificate): string | undefined {
  const { title } = certificate;
  const [unknown] = unknownCriticalExtensions(certificate);
  if (unknown !== undefined) return `the certificate of ${title} has the critical extension ${unknown}, not known here`;
  // RFC 4945 section 5.1.3.2: digitalSignature or nonRepudiation, where there is a key usage at all
  if (keyUsageOf(certificate)?.canSign === false) {
    return `the key usage of the certificate of ${title} does not allow signatures`;
  }
  const purposes = keyPurposesOf(certificate);
  return purposes === undefined || purposes.some((purpose) => acceptedPurposes.includes(purpose))
    ? undefined
    : `the extended key usage of the certificate of ${title} is not for IKE`;
}
