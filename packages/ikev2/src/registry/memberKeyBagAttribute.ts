// Generated from registry/member-key-bag-attributes.tsv. Do not edit.
/** Member Key Bag Attributes of G-IKEv2. Private use: 16384-32767. */
export const MemberKeyBagAttribute = {
  /** RFC 9838 */
  WRAP_KEY: 1,
  /** RFC 9838 */
  AUTH_KEY: 2,
  /** RFC 9838 */
  GM_SENDER_ID: 3,
} as const;
export type MemberKeyBagAttribute = (typeof MemberKeyBagAttribute)[keyof typeof MemberKeyBagAttribute];
