import type { ParsedCertificate } from "./parsedCertificate.ts";

/** RFC 5280 section 4.1.2.5: both ends of the validity period belong to it. */
export function whyNotValidAt(certificate: ParsedCertificate, at: Date): string | undefined {
  const { notBefore, notAfter } = certificate.content;
  const { title } = certificate;
  if (at < notBefore.value)
    return `the certificate of ${title} is not yet valid: it begins at ${text(notBefore.value)}`;
  if (at > notAfter.value) return `the certificate of ${title} expired at ${text(notAfter.value)}`;
  return undefined;
}

/** RFC 3339 in UTC; certificates know no fractions of a second. */
function text(moment: Date): string {
  return `${moment.toISOString().slice(0, 19)}Z`;
}
