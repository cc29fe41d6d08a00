// Generated from registry/key-exchange-methods.tsv. Do not edit.
/** IKEv2 Transform Type 4: Key Exchange Method. Private use: 32768-65535. */
export const KeyExchangeMethod = {
  /** RFC 7296 */
  NONE: 0,
  /** RFC 7296 */
  MODP_1024: 2,
  /** RFC 3526 */
  MODP_1536: 5,
  /** RFC 3526 */
  MODP_2048: 14,
  /** RFC 3526 */
  MODP_3072: 15,
  /** RFC 3526 */
  MODP_4096: 16,
  /** RFC 3526 */
  MODP_6144: 17,
  /** RFC 3526 */
  MODP_8192: 18,
  /** RFC 5903 */
  ECP_256: 19,
  /** RFC 5903 */
  ECP_384: 20,
  /** RFC 5903 */
  ECP_521: 21,
  /** RFC 6954 */
  BRAINPOOL_P256R1: 28,
  /** RFC 6954 */
  BRAINPOOL_P384R1: 29,
  /** RFC 6954 */
  BRAINPOOL_P512R1: 30,
  /** RFC 8031 */
  CURVE25519: 31,
  /** RFC 8031 */
  CURVE448: 32,
  /** draft-ietf-ipsecme-ikev2-mlkem */
  ML_KEM_512: 35,
  /** draft-ietf-ipsecme-ikev2-mlkem */
  ML_KEM_768: 36,
  /** draft-ietf-ipsecme-ikev2-mlkem */
  ML_KEM_1024: 37,
} as const;
export type KeyExchangeMethod = (typeof KeyExchangeMethod)[keyof typeof KeyExchangeMethod];
