// Generated from registry/key-wrap-algorithms.tsv. Do not edit.
/** IKEv2 Transform Type 13: Key Wrap Algorithm. Private use: 1024-65535. */
export const KeyWrapAlgorithm = {
  /** RFC 9838 */
  KW_5649_128: 1,
  /** RFC 9838 */
  KW_5649_192: 2,
  /** RFC 9838 */
  KW_5649_256: 3,
  /** RFC 9838 */
  KW_ARX: 4,
} as const;
export type KeyWrapAlgorithm = (typeof KeyWrapAlgorithm)[keyof typeof KeyWrapAlgorithm];
