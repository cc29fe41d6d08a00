// Generated from registry/encryption-algorithms.tsv. Do not edit.
/** IKEv2 Transform Type 1: Encryption Algorithm. Private use: 1024-65535. */
export const EncryptionAlgorithm = {
  /** RFC 7296 */
  ENCR_3DES: 3,
  /** RFC 7296 */
  ENCR_NULL: 11,
  /** RFC 7296 */
  ENCR_AES_CBC: 12,
  /** RFC 5930 */
  ENCR_AES_CTR: 13,
  /** RFC 5282 */
  ENCR_AES_CCM_8: 14,
  /** RFC 5282 */
  ENCR_AES_CCM_12: 15,
  /** RFC 5282 */
  ENCR_AES_CCM_16: 16,
  /** RFC 5282 */
  ENCR_AES_GCM_8: 18,
  /** RFC 5282 */
  ENCR_AES_GCM_12: 19,
  /** RFC 5282 */
  ENCR_AES_GCM_16: 20,
  /** RFC 4543 */
  ENCR_NULL_AUTH_AES_GMAC: 21,
  /** RFC 7634 */
  ENCR_CHACHA20_POLY1305: 28,
  /** RFC 8750 */
  ENCR_AES_CCM_8_IIV: 29,
  /** RFC 8750 */
  ENCR_AES_GCM_16_IIV: 30,
  /** RFC 8750 */
  ENCR_CHACHA20_POLY1305_IIV: 31,
} as const;
export type EncryptionAlgorithm = (typeof EncryptionAlgorithm)[keyof typeof EncryptionAlgorithm];
