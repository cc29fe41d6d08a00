// Generated from registry/transform-attribute-types.tsv. Do not edit.
/** IKEv2 Transform Attribute Types, RFC 7296 section 3.3.5 (without the AF bit). Private use: 16384-32767. */
export const TransformAttributeType = {
  /** RFC 7296 */
  KEY_LENGTH: 14,
  /** RFC 9838 */
  SIGNATURE_ALGORITHM_IDENTIFIER: 18,
} as const;
export type TransformAttributeType = (typeof TransformAttributeType)[keyof typeof TransformAttributeType];
