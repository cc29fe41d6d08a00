// Generated from registry/transform-types.tsv. Do not edit.
/** IKEv2 Transform Types, RFC 7296 section 3.3.2. Private use: 241-255. */
export const TransformType = {
  /** RFC 7296 */
  ENCR: 1,
  /** RFC 7296 */
  PRF: 2,
  /** RFC 7296 */
  INTEG: 3,
  /** RFC 7296 */
  KE: 4,
  /** RFC 9827 */
  SN: 5,
  /** RFC 9370 */
  ADDKE1: 6,
  /** RFC 9370 */
  ADDKE2: 7,
  /** RFC 9370 */
  ADDKE3: 8,
  /** RFC 9370 */
  ADDKE4: 9,
  /** RFC 9370 */
  ADDKE5: 10,
  /** RFC 9370 */
  ADDKE6: 11,
  /** RFC 9370 */
  ADDKE7: 12,
  /** RFC 9838 */
  KWA: 13,
  /** RFC 9838 */
  GCAUTH: 14,
  /** karp (private use) */
  TCP_OPT: 241,
  /** karp (private use) */
  RPAUTH: 242,
  /** karp (private use) */
  RPSEC: 243,
  /** karp (private use) */
  RPSEQ: 244,
} as const;
export type TransformType = (typeof TransformType)[keyof typeof TransformType];
