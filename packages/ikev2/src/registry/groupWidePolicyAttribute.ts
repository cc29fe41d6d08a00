// Generated from registry/group-wide-policy-attributes.tsv. Do not edit.
/** Group-wide Policy Attributes of G-IKEv2, all in TV form. Private use: 16384-32767. */
export const GroupWidePolicyAttribute = {
  /** RFC 9838 */
  GWP_ATD: 1,
  /** RFC 9838 */
  GWP_DTD: 2,
  /** RFC 9838 */
  GWP_SENDER_ID_BITS: 3,
} as const;
export type GroupWidePolicyAttribute = (typeof GroupWidePolicyAttribute)[keyof typeof GroupWidePolicyAttribute];
