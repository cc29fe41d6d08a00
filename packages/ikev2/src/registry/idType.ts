// Generated from registry/id-types.tsv. Do not edit.
/** IKEv2 Identification Payload ID Types, RFC 7296 section 3.5. Private use: 201-255. */
export const IdType = {
  /** RFC 7296 */
  ID_IPV4_ADDR: 1,
  /** RFC 7296 */
  ID_FQDN: 2,
  /** RFC 7296 */
  ID_RFC822_ADDR: 3,
  /** RFC 7296 */
  ID_IPV6_ADDR: 5,
  /** RFC 7296 */
  ID_DER_ASN1_DN: 9,
  /** RFC 7296 */
  ID_DER_ASN1_GN: 10,
  /** RFC 7296 */
  ID_KEY_ID: 11,
  /** RFC 4595 */
  ID_FC_NAME: 12,
  /** RFC 7619 */
  ID_NULL: 13,
} as const;
export type IdType = (typeof IdType)[keyof typeof IdType];
