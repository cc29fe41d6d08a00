// Generated from registry/authentication-methods.tsv. Do not edit.
/** IKEv2 Authentication Methods, RFC 7296 section 3.8. Private use: 201-255. */
export const AuthenticationMethod = {
  /** RFC 7296 */
  RSA_DIGITAL_SIGNATURE: 1,
  /** RFC 7296 */
  SHARED_KEY_MIC: 2,
  /** RFC 7296 */
  DSS_DIGITAL_SIGNATURE: 3,
  /** RFC 4754 */
  ECDSA_SHA256_P256: 9,
  /** RFC 4754 */
  ECDSA_SHA384_P384: 10,
  /** RFC 4754 */
  ECDSA_SHA512_P521: 11,
  /** RFC 6467 */
  GENERIC_SECURE_PASSWORD: 12,
  /** RFC 7619 */
  NULL_AUTHENTICATION: 13,
  /** RFC 7427 */
  DIGITAL_SIGNATURE: 14,
} as const;
export type AuthenticationMethod = (typeof AuthenticationMethod)[keyof typeof AuthenticationMethod];
