// Generated from registry/rp-sequence-numbers.tsv. Do not edit.
/** Transform Type RPSEQ: sequence numbers of OSPFv2 (0: AuType 2, 1: AuType 3 of RFC 7474). */
export const RpSequenceNumbers = {
  /** karp (private use) */
  SEQUENCE_32_BIT: 0,
  /** karp (private use) */
  SEQUENCE_64_BIT: 1,
} as const;
export type RpSequenceNumbers = (typeof RpSequenceNumbers)[keyof typeof RpSequenceNumbers];
