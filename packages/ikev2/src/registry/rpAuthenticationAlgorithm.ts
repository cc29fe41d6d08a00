// Generated from registry/rp-authentication-algorithms.tsv. Do not edit.
/** Transform Type RPAUTH: authentication algorithm of a routing protocol. */
export const RpAuthenticationAlgorithm = {
  /** karp (private use) */
  KEYED_MD5: 1,
  /** karp (private use) */
  HMAC_SHA1: 2,
  /** karp (private use) */
  HMAC_SHA2_256: 3,
  /** karp (private use) */
  HMAC_SHA2_384: 4,
  /** karp (private use) */
  HMAC_SHA2_512: 5,
} as const;
export type RpAuthenticationAlgorithm = (typeof RpAuthenticationAlgorithm)[keyof typeof RpAuthenticationAlgorithm];
