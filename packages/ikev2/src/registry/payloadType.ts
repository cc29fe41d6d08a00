// Generated from registry/payload-types.tsv. Do not edit.
/** IKEv2 Payload Types, RFC 7296 section 3.2 (NONE: No Next Payload). Private use: 128-255. */
export const PayloadType = {
  /** RFC 7296 */
  NONE: 0,
  /** RFC 7296 */
  SA: 33,
  /** RFC 7296 */
  KE: 34,
  /** RFC 7296 */
  IDi: 35,
  /** RFC 7296 */
  IDr: 36,
  /** RFC 7296 */
  CERT: 37,
  /** RFC 7296 */
  CERTREQ: 38,
  /** RFC 7296 */
  AUTH: 39,
  /** RFC 7296 */
  Nonce: 40,
  /** RFC 7296 */
  N: 41,
  /** RFC 7296 */
  D: 42,
  /** RFC 7296 */
  V: 43,
  /** RFC 7296 */
  TSi: 44,
  /** RFC 7296 */
  TSr: 45,
  /** RFC 7296 */
  SK: 46,
  /** RFC 7296 */
  CP: 47,
  /** RFC 7296 */
  EAP: 48,
  /** RFC 6467 */
  GSPM: 49,
  /** RFC 9838 */
  IDg: 50,
  /** RFC 9838 */
  GSA: 51,
  /** RFC 9838 */
  KD: 52,
  /** RFC 7383 */
  SKF: 53,
  /** RFC 8019 */
  PS: 54,
} as const;
export type PayloadType = (typeof PayloadType)[keyof typeof PayloadType];
