// Generated from registry/certificate-encodings.tsv. Do not edit.
/** IKEv2 Certificate Encodings, RFC 7296 section 3.6. Private use: 201-255. */
export const CertificateEncoding = {
  /** RFC 7296 */
  PKCS7_WRAPPED_X509: 1,
  /** RFC 7296 */
  PGP_CERTIFICATE: 2,
  /** RFC 7296 */
  DNS_SIGNED_KEY: 3,
  /** RFC 7296 */
  X509_SIGNATURE: 4,
  /** RFC 7296 */
  KERBEROS_TOKEN: 6,
  /** RFC 7296 */
  CRL: 7,
  /** RFC 7296 */
  ARL: 8,
  /** RFC 7296 */
  SPKI_CERTIFICATE: 9,
  /** RFC 7296 */
  X509_ATTRIBUTE: 10,
  /** RFC 7296 */
  HASH_AND_URL_X509: 12,
  /** RFC 7296 */
  HASH_AND_URL_X509_BUNDLE: 13,
  /** RFC 4806 */
  OCSP_CONTENT: 14,
  /** RFC 7670 */
  RAW_PUBLIC_KEY: 15,
} as const;
export type CertificateEncoding = (typeof CertificateEncoding)[keyof typeof CertificateEncoding];
