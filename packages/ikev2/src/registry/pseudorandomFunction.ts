// Generated from registry/pseudorandom-functions.tsv. Do not edit.
/** IKEv2 Transform Type 2: Pseudorandom Function. Private use: 1024-65535. */
export const PseudorandomFunction = {
  /** RFC 7296 */
  PRF_HMAC_MD5: 1,
  /** RFC 7296 */
  PRF_HMAC_SHA1: 2,
  /** RFC 4434 */
  PRF_AES128_XCBC: 4,
  /** RFC 4868 */
  PRF_HMAC_SHA2_256: 5,
  /** RFC 4868 */
  PRF_HMAC_SHA2_384: 6,
  /** RFC 4868 */
  PRF_HMAC_SHA2_512: 7,
  /** RFC 4615 */
  PRF_AES128_CMAC: 8,
} as const;
export type PseudorandomFunction = (typeof PseudorandomFunction)[keyof typeof PseudorandomFunction];
