// Generated from registry/hash-algorithms.tsv. Do not edit.
/** IKEv2 Hash Algorithms of SIGNATURE_HASH_ALGORITHMS, RFC 7427 section 7. Private use: 1024-65535. */
export const HashAlgorithm = {
  /** RFC 7427 */
  SHA1: 1,
  /** RFC 7427 */
  SHA2_256: 2,
  /** RFC 7427 */
  SHA2_384: 3,
  /** RFC 7427 */
  SHA2_512: 4,
  /** RFC 8420 */
  IDENTITY: 5,
} as const;
export type HashAlgorithm = (typeof HashAlgorithm)[keyof typeof HashAlgorithm];
