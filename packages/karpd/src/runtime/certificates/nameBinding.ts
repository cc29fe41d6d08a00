import type { Identity } from "@karp/ikev2";
import { equalIdentities, formatIdentity, IdType } from "@karp/ikev2";
import { identityOf } from "./generalNames.ts";
import { alternativeNamesOf, type ParsedCertificate } from "./parsedCertificate.ts";

const maximumNamesShown = 5;

/**
 * RFC 7296 section 3.5 and RFC 4945 section 3.1: the identity must be a name in the certificate: a dNSName, iPAddress or
 * rfc822Name of the subjectAltName, or the subject itself for a distinguished name. No wildcards, no common names.
 */
export function whyNotNamed(certificate: ParsedCertificate, identity: Identity): string | undefined {
  const { title } = certificate;
  const wanted = formatIdentity(identity);
  if (!isBindable(identity)) return `a certificate cannot name ${wanted}: pin the public key's fingerprint instead`;
  const subject = {
    idType: IdType.ID_DER_ASN1_DN,
    data: new Uint8Array(certificate.content.subject.valueBeforeDecode),
  };
  const names = alternativeNamesOf(certificate)
    .map(identityOf)
    .filter((name) => name !== undefined);
  if ([subject, ...names].some((name) => equalIdentities(name, identity))) return undefined;
  if (names.length === 0) {
    return `the certificate of ${title} has no subjectAltName, and the common name does not count: ${wanted} must be in it`;
  }
  const shown = names.slice(0, maximumNamesShown).map(formatIdentity).join(", ");
  const more = names.length > maximumNamesShown ? ` and ${names.length - maximumNamesShown} more` : "";
  return `the certificate of ${title} names ${shown}${more}, and not ${wanted}`;
}

function isBindable({ idType }: Identity): boolean {
  const types: readonly number[] = [
    IdType.ID_FQDN,
    IdType.ID_RFC822_ADDR,
    IdType.ID_IPV4_ADDR,
    IdType.ID_IPV6_ADDR,
    IdType.ID_DER_ASN1_DN,
  ];
  return types.includes(idType);
}
