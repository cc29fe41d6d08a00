// Generated from registry/sequence-numbers.tsv. Do not edit.
/** IKEv2 Transform Type 5: Sequence Numbers (SN). Private use: 1024-65535. */
export const SequenceNumbers = {
  /** RFC 7296 */
  SEQUENTIAL_32_BIT: 0,
  /** RFC 7296 */
  PARTIALLY_TRANSMITTED_64_BIT: 1,
  /** RFC 9827 */
  UNSPECIFIED_32_BIT: 2,
} as const;
export type SequenceNumbers = (typeof SequenceNumbers)[keyof typeof SequenceNumbers];
