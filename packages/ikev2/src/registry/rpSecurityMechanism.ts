// Generated from registry/rp-security-mechanisms.tsv. Do not edit.
/** Transform Type RPSEC: what protects a routing protocol. */
export const RpSecurityMechanism = {
  /** karp (private use) */
  AH: 1,
  /** karp (private use) */
  ESP: 2,
  /** karp (private use) */
  AUTHENTICATION_TRAILER: 3,
} as const;
export type RpSecurityMechanism = (typeof RpSecurityMechanism)[keyof typeof RpSecurityMechanism];
