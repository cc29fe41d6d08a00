// Generated from registry/integrity-algorithms.tsv. Do not edit.
/** IKEv2 Transform Type 3: Integrity Algorithm. Private use: 1024-65535. */
export const IntegrityAlgorithm = {
  /** RFC 7296 */
  NONE: 0,
  /** RFC 7296 */
  AUTH_HMAC_MD5_96: 1,
  /** RFC 7296 */
  AUTH_HMAC_SHA1_96: 2,
  /** RFC 7296 */
  AUTH_AES_XCBC_96: 5,
  /** RFC 4595 */
  AUTH_HMAC_MD5_128: 6,
  /** RFC 4595 */
  AUTH_HMAC_SHA1_160: 7,
  /** RFC 4494 */
  AUTH_AES_CMAC_96: 8,
  /** RFC 4543 */
  AUTH_AES_128_GMAC: 9,
  /** RFC 4543 */
  AUTH_AES_192_GMAC: 10,
  /** RFC 4543 */
  AUTH_AES_256_GMAC: 11,
  /** RFC 4868 */
  AUTH_HMAC_SHA2_256_128: 12,
  /** RFC 4868 */
  AUTH_HMAC_SHA2_384_192: 13,
  /** RFC 4868 */
  AUTH_HMAC_SHA2_512_256: 14,
} as const;
export type IntegrityAlgorithm = (typeof IntegrityAlgorithm)[keyof typeof IntegrityAlgorithm];
