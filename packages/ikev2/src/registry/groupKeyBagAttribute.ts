// Generated from registry/group-key-bag-attributes.tsv. Do not edit.
/** Group Key Bag Attributes of G-IKEv2. Private use: 16384-32767. */
export const GroupKeyBagAttribute = {
  /** RFC 9838 */
  SA_KEY: 1,
} as const;
export type GroupKeyBagAttribute = (typeof GroupKeyBagAttribute)[keyof typeof GroupKeyBagAttribute];
