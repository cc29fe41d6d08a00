import { X509Certificate } from "node:crypto";
import { escapeText } from "@karp/ikev2";
import {
  AltName,
  BasicConstraints,
  Certificate,
  type Extension,
  ExtKeyUsage,
  NameConstraints,
  RSASSAPSSParams,
} from "pkijs";

/** Object identifiers of the extensions that we process (RFC 5280 section 4.2.1). */
export const extensionIds = {
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  certificatePolicies: "2.5.29.32",
  extendedKeyUsage: "2.5.29.37",
} as const;

/** One certificate twice: node's for keys and signatures, pkijs' for what is inside. */
export interface ParsedCertificate {
  readonly der: Uint8Array;
  readonly x509: X509Certificate;
  readonly content: Certificate;
  /** For people: the subject's name, or the first alternative name; escaped. */
  readonly title: string;
}

/** Undefined when the octets are not exactly one certificate, or an extension that we process does not parse. */
export function parseCertificate(der: Uint8Array): ParsedCertificate | undefined {
  try {
    const x509 = new X509Certificate(der);
    if (x509.raw.length !== der.length) return undefined; // PEM, or octets behind
    const content = Certificate.fromBER(Uint8Array.from(der).buffer);
    const isSound = (content.extensions ?? []).every((extension) => parses(extension));
    return isSound && !hasDuplicates(content) ? { der, x509, content, title: titleOf(x509) } : undefined;
  } catch {
    return undefined;
  }
}

/** Critical extensions that we cannot honour: each makes the certificate unusable (RFC 5280 section 4.2). */
export function unknownCriticalExtensions(certificate: ParsedCertificate): readonly string[] {
  const known: readonly string[] = Object.values(extensionIds);
  return (certificate.content.extensions ?? [])
    .filter(({ critical, extnID }) => critical && !known.includes(extnID))
    .map(({ extnID }) => extnID);
}

/** Undefined when the extension is absent: then the key may be used for anything (RFC 5280 section 4.2.1.3). */
export function keyUsageOf(
  certificate: ParsedCertificate,
): { readonly canSign: boolean; readonly canSignCertificates: boolean } | undefined {
  const extension = find(certificate.content, extensionIds.keyUsage);
  if (extension === undefined) return undefined;
  // a BIT STRING: tag, length, unused bits, then digitalSignature 0x80, nonRepudiation 0x40, keyCertSign 0x04
  const bits = extension.extnValue.valueBlock.valueHexView[3] ?? 0;
  return { canSign: (bits & 0xc0) !== 0, canSignCertificates: (bits & 0x04) !== 0 };
}

/** Object identifiers of the purposes, undefined when the extension is absent. */
export function keyPurposesOf(certificate: ParsedCertificate): readonly string[] | undefined {
  const value = find(certificate.content, extensionIds.extendedKeyUsage)?.parsedValue;
  return value instanceof ExtKeyUsage ? value.keyPurposes : undefined;
}

/** `pathLength` undefined: no limit. */
export function basicConstraintsOf(certificate: ParsedCertificate): {
  readonly isAuthority: boolean;
  readonly pathLength?: number;
} {
  const value = find(certificate.content, extensionIds.basicConstraints)?.parsedValue;
  if (!(value instanceof BasicConstraints)) return { isAuthority: false };
  const { cA: isAuthority, pathLenConstraint } = value;
  if (pathLenConstraint === undefined) return { isAuthority };
  // pkijs gives an Integer object for what does not fit a number: no path is that long
  return { isAuthority, pathLength: typeof pathLenConstraint === "number" ? pathLenConstraint : Number.MAX_VALUE };
}

export function alternativeNamesOf(certificate: ParsedCertificate): AltName["altNames"] {
  const value = find(certificate.content, extensionIds.subjectAltName)?.parsedValue;
  return value instanceof AltName ? value.altNames : [];
}

export function nameConstraintsOf(certificate: ParsedCertificate): NameConstraints | undefined {
  const value = find(certificate.content, extensionIds.nameConstraints)?.parsedValue;
  return value instanceof NameConstraints ? value : undefined;
}

/** True when the certificate is signed with SHA-2 or EdDSA (RFC 8247 section 3.2 for signatures in IKEv2 itself). */
export function hasStrongSignature(certificate: ParsedCertificate): boolean {
  const { algorithmId, algorithmParams } = certificate.content.signatureAlgorithm;
  if (algorithmId !== rsassaPss) return strongSignatures.includes(algorithmId);
  return strongHashes.includes(new RSASSAPSSParams({ schema: algorithmParams }).hashAlgorithm.algorithmId);
}

const rsassaPss = "1.2.840.113549.1.1.10";
/** RSA with SHA-256, 384, 512; ECDSA with the same; Ed25519, Ed448. */
const strongSignatures: readonly string[] = [
  "1.2.840.113549.1.1.11",
  "1.2.840.113549.1.1.12",
  "1.2.840.113549.1.1.13",
  "1.2.840.10045.4.3.2",
  "1.2.840.10045.4.3.3",
  "1.2.840.10045.4.3.4",
  "1.3.101.112",
  "1.3.101.113",
];
const strongHashes: readonly string[] = [1, 2, 3].map((hash) => `2.16.840.1.101.3.4.2.${hash}`);

/** An extension that we rely on must have its structure; of the others only the identifier matters. */
function parses(extension: Extension): boolean {
  const value: unknown = extension.parsedValue;
  switch (extension.extnID) {
    case extensionIds.keyUsage:
      return extension.extnValue.valueBlock.valueHexView[0] === 0x03; // BIT STRING
    case extensionIds.subjectAltName:
      return value instanceof AltName && !("parsingError" in value);
    case extensionIds.basicConstraints:
      return value instanceof BasicConstraints && !("parsingError" in value);
    case extensionIds.nameConstraints:
      return value instanceof NameConstraints && !("parsingError" in value);
    case extensionIds.extendedKeyUsage:
      return value instanceof ExtKeyUsage && !("parsingError" in value);
    default:
      return true;
  }
}

/** RFC 5280 section 4.2: no extension may occur twice. */
function hasDuplicates(content: Certificate): boolean {
  const ids = (content.extensions ?? []).map(({ extnID }) => extnID);
  return new Set(ids).size !== ids.length;
}

function find(content: Certificate, id: string): Extension | undefined {
  return content.extensions?.find(({ extnID }) => extnID === id);
}

function titleOf(x509: X509Certificate): string {
  const name = x509.subject ?? x509.subjectAltName ?? `serial ${x509.serialNumber}`;
  return escapeText(name.replaceAll("\n", ", "), 128);
}
