import { equalBytes, escapeText } from "@karp/ikev2";
import { whyConstrained } from "./nameConstraints.ts";
import {
  basicConstraintsOf,
  hasStrongSignature,
  keyUsageOf,
  type ParsedCertificate,
  unknownCriticalExtensions,
} from "./parsedCertificate.ts";
import { whyNotValidAt } from "./validity.ts";

interface Available {
  /** What the peer sent. */
  readonly certificates: readonly ParsedCertificate[];
  readonly anchors: readonly ParsedCertificate[];
  readonly at: Date;
}

const minimumRsaBits = 2048;

/**
 * Looks for a path from `endEntity` to a trust anchor. Undefined when there is one, else why not. Each certificate is
 * tried once, whatever way leads to it: the work is bounded by what the peer sent times the candidates for each, also
 * when all of them have the same name and key.
 */
export function findIssuers(endEntity: ParsedCertificate, available: Available): string | undefined {
  const search: Search = { endEntity, available, tried: new Set([endEntity]), reasons: [] };
  return climb(search, endEntity, 0) ? undefined : search.reasons[0];
}

interface Search {
  readonly endEntity: ParsedCertificate;
  readonly available: Available;
  readonly tried: Set<ParsedCertificate>;
  readonly reasons: string[];
}

/** True when a trust anchor is reached from `current`, with so many authorities between it and the end entity. */
function climb(search: Search, current: ParsedCertificate, authoritiesBelow: number): boolean {
  const candidates = candidatesFor(current, search.available, search.tried);
  if (candidates.length === 0) search.reasons.push(whyNoCandidate(current));
  return candidates.some((candidate) => climbOver(search, current, candidate, authoritiesBelow));
}

function climbOver(
  search: Search,
  current: ParsedCertificate,
  candidate: ParsedCertificate,
  authoritiesBelow: number,
): boolean {
  const { available, endEntity, tried, reasons } = search;
  const reason =
    whyNotIssuer(candidate, current, authoritiesBelow, available.at) ?? whyConstrained(candidate, endEntity);
  if (reason !== undefined) {
    reasons.push(reason);
    return false;
  }
  if (isAnchor(candidate, available)) return true;
  tried.add(candidate);
  // RFC 5280 section 4.2.1.9: self-issued certificates do not count
  return climb(search, candidate, authoritiesBelow + (isSelfIssued(candidate) ? 0 : 1));
}

/** Certificates whose subject is the issuer, trust anchors first. */
function candidatesFor(
  current: ParsedCertificate,
  available: Available,
  tried: ReadonlySet<ParsedCertificate>,
): readonly ParsedCertificate[] {
  const named = (candidate: ParsedCertificate): boolean =>
    equalBytes(subjectOf(candidate), issuerOf(current)) && !tried.has(candidate);
  const sent = available.certificates.filter((candidate) => named(candidate) && !isAnchor(candidate, available));
  return [...available.anchors.filter(named), ...sent];
}

function isAnchor(certificate: ParsedCertificate, available: Available): boolean {
  return available.anchors.some(({ der }) => equalBytes(der, certificate.der));
}

function whyNotIssuer(
  issuer: ParsedCertificate,
  subject: ParsedCertificate,
  authoritiesBelow: number,
  at: Date,
): string | undefined {
  if (!hasStrongSignature(subject)) return `the certificate of ${subject.title} is signed with a weak algorithm`;
  return whyNotAuthority(issuer, authoritiesBelow) ?? whyNotValidAt(issuer, at) ?? whyNotSigned(issuer, subject);
}

/** RFC 5280 section 6.1.4 (k), (l), (m), (n), (o). */
function whyNotAuthority(certificate: ParsedCertificate, authoritiesBelow: number): string | undefined {
  const { title } = certificate;
  const { isAuthority, pathLength } = basicConstraintsOf(certificate);
  const [unknown] = unknownCriticalExtensions(certificate);
  if (!isAuthority) return `${title} is not a certification authority, but has issued a certificate`;
  if (keyUsageOf(certificate)?.canSignCertificates === false) return `the key usage of ${title} does not allow issuing`;
  if (pathLength !== undefined && authoritiesBelow > pathLength) return `the path below ${title} is too long`;
  return unknown === undefined
    ? undefined
    : `the certificate of ${title} has the critical extension ${unknown}, not known here`;
}

function whyNotSigned(issuer: ParsedCertificate, subject: ParsedCertificate): string | undefined {
  const { publicKey } = issuer.x509;
  if ((publicKey.asymmetricKeyDetails?.modulusLength ?? minimumRsaBits) < minimumRsaBits) {
    return `the RSA key of ${issuer.title} is shorter than ${minimumRsaBits} bits`;
  }
  return isSignedBy(subject, issuer)
    ? undefined
    : `the signature on the certificate of ${subject.title} is not that of ${issuer.title}`;
}

function isSignedBy(subject: ParsedCertificate, issuer: ParsedCertificate): boolean {
  try {
    return subject.x509.verify(issuer.x509.publicKey);
  } catch {
    return false; // key and signature are of different kinds
  }
}

function whyNoCandidate(certificate: ParsedCertificate): string {
  if (isSelfIssued(certificate)) return `the certificate of ${certificate.title} is self-signed and not trusted`;
  const issuer = escapeText((certificate.x509.issuer ?? "nobody").replaceAll("\n", ", "), 128);
  return `${issuer}, who issued the certificate of ${certificate.title}, is neither trusted nor among the certificates sent`;
}

function isSelfIssued(certificate: ParsedCertificate): boolean {
  return equalBytes(subjectOf(certificate), issuerOf(certificate));
}

/** Names as encoded: an issuer must be written as its subject is (RFC 5280 section 4.1.2.6). */
function subjectOf(certificate: ParsedCertificate): Uint8Array {
  return new Uint8Array(certificate.content.subject.valueBeforeDecode);
}

function issuerOf(certificate: ParsedCertificate): Uint8Array {
  return new Uint8Array(certificate.content.issuer.valueBeforeDecode);
}
