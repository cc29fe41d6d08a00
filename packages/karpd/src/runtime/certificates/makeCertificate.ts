/** Certificates made here: by `karp demo` for its own two daemons, and by tests. Not a CA for production. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import type { Identity, SigningKey } from "@karp/ikev2";
import { algorithmIdentifierOf, IdType, utf8Decode } from "@karp/ikev2";
import { loadSigningKey } from "@karp/ikev2/node";
import { BitString, Integer, OctetString, Utf8String } from "asn1js";
import {
  AlgorithmIdentifier,
  AltName,
  AttributeTypeAndValue,
  BasicConstraints,
  Certificate,
  Extension,
  GeneralName,
  PublicKeyInfo,
  type RelativeDistinguishedNames,
  Time,
  TimeType,
} from "pkijs";
import { nameTypes } from "./generalNames.ts";
import { extensionIds } from "./parsedCertificate.ts";

export interface CertificateRequest {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly commonName: string;
  /** For the subjectAltName: ID_FQDN, ID_RFC822_ADDR, ID_IPV4_ADDR or ID_IPV6_ADDR. */
  readonly identities?: readonly Identity[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** The key that signs, and its certificate (DER); without one the certificate is self-signed. */
  readonly issuer: { readonly key: SigningKey; readonly certificate?: Uint8Array };
  readonly isAuthority?: boolean;
  readonly pathLength?: number;
  /** In addition to key usage, basic constraints and subjectAltName; one with the same identifier replaces ours. */
  readonly extensions?: readonly Extension[];
}

/** A certificate, DER. */
export function makeCertificate(request: CertificateRequest): Uint8Array {
  const [algorithm] = request.issuer.key.algorithms;
  if (algorithm === undefined) throw new Error("the issuer's key signs nothing");
  const identifier = AlgorithmIdentifier.fromBER(owned(algorithmIdentifierOf(algorithm)));
  const certificate = new Certificate({
    version: 2, // v3
    serialNumber: new Integer({ valueHex: serialNumber() }),
    signature: identifier,
    signatureAlgorithm: identifier,
    notBefore: time(request.notBefore),
    notAfter: time(request.notAfter),
    subjectPublicKeyInfo: PublicKeyInfo.fromBER(owned(request.publicKey)),
    extensions: extensionsOf(request),
  });
  certificate.subject.typesAndValues = commonName(request.commonName);
  certificate.issuer.typesAndValues = commonName(request.commonName);
  if (request.issuer.certificate !== undefined) certificate.issuer = subjectOf(request.issuer.certificate);
  const tbs = new Uint8Array(certificate.encodeTBS().toBER());
  certificate.signatureValue = new BitString({ valueHex: owned(request.issuer.key.sign(algorithm, tbs)) });
  certificate.tbsView = tbs;
  return new Uint8Array(certificate.toSchema().toBER());
}

export interface KeyPair {
  readonly key: SigningKey;
  /** PKCS#8. */
  readonly privateKeyPem: string;
}

export function makeKeyPair(type: "ed25519" | "ecdsa-p256" = "ed25519"): KeyPair {
  const { privateKey } =
    type === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ec", { namedCurve: "P-256" });
  const privateKeyPem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { key: loadSigningKey(privateKeyPem), privateKeyPem };
}

/** RFC 7468: lines of 64 characters. */
export function certificatePem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

function extensionsOf(request: CertificateRequest): Extension[] {
  const { isAuthority = false, pathLength, identities = [], extensions = [] } = request;
  const constraints = new BasicConstraints({
    cA: isAuthority,
    ...(pathLength === undefined ? {} : { pathLenConstraint: pathLength }),
  });
  // keyCertSign and cRLSign for an authority, digitalSignature for an end entity
  const keyUsage = isAuthority ? { octet: 0x06, unusedBits: 1 } : { octet: 0x80, unusedBits: 7 };
  const usage = new BitString({ valueHex: Uint8Array.of(keyUsage.octet).buffer, unusedBits: keyUsage.unusedBits });
  const standard = [
    extension(extensionIds.basicConstraints, true, constraints.toSchema().toBER()),
    extension(extensionIds.keyUsage, true, usage.toBER()),
    ...(identities.length === 0 ? [] : [subjectAltName(identities)]),
  ];
  const isReplaced = ({ extnID }: Extension): boolean => extensions.some((other) => other.extnID === extnID);
  return [...standard.filter((candidate) => !isReplaced(candidate)), ...extensions];
}

function subjectAltName(identities: readonly Identity[]): Extension {
  const names = new AltName({ altNames: identities.map(generalName) });
  return extension(extensionIds.subjectAltName, false, names.toSchema().toBER());
}

function extension(extnID: string, critical: boolean, extnValue: ArrayBuffer): Extension {
  return new Extension({ extnID, critical, extnValue });
}

function generalName({ idType, data }: Identity): GeneralName {
  switch (idType) {
    case IdType.ID_FQDN:
      return new GeneralName({ type: nameTypes.dNSName, value: utf8Decode(data) ?? "" });
    case IdType.ID_RFC822_ADDR:
      return new GeneralName({ type: nameTypes.rfc822Name, value: utf8Decode(data) ?? "" });
    case IdType.ID_IPV4_ADDR:
    case IdType.ID_IPV6_ADDR:
      return new GeneralName({ type: nameTypes.iPAddress, value: new OctetString({ valueHex: owned(data) }) });
    default:
      throw new Error(`identities of type ${idType} are not for a subjectAltName`);
  }
}

function commonName(text: string): AttributeTypeAndValue[] {
  return [new AttributeTypeAndValue({ type: "2.5.4.3", value: new Utf8String({ value: text }) })];
}

function subjectOf(certificate: Uint8Array): RelativeDistinguishedNames {
  return Certificate.fromBER(owned(certificate)).subject;
}

/** RFC 5280 section 4.1.2.5: UTCTime through 2049, then GeneralizedTime. */
function time(value: Date): Time {
  return new Time({ type: value.getUTCFullYear() < 2050 ? TimeType.UTCTime : TimeType.GeneralizedTime, value });
}

/** RFC 5280 section 4.1.2.2: positive, at most 20 octets. */
function serialNumber(): ArrayBuffer {
  const octets = Uint8Array.from(randomBytes(16));
  octets[0] = ((octets[0] ?? 0) & 0x7f) | 0x40;
  return octets.buffer;
}

/** An ArrayBuffer of exactly these octets, which asn1js wants. */
function owned(octets: Uint8Array): ArrayBuffer {
  return Uint8Array.from(octets).buffer;
}
