// Generated from registry/gsa-attributes.tsv. Do not edit.
/** GSA Attributes of G-IKEv2, all in TLV form. Private use: 16384-32767. */
export const GsaAttribute = {
  /** RFC 9838 */
  GSA_KEY_LIFETIME: 1,
  /** RFC 9838 */
  GSA_INITIAL_MESSAGE_ID: 2,
  /** RFC 9838 */
  GSA_NEXT_SPI: 3,
} as const;
export type GsaAttribute = (typeof GsaAttribute)[keyof typeof GsaAttribute];
