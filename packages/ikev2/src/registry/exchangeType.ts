// Generated from registry/exchange-types.tsv. Do not edit.
/** IKEv2 Exchange Types, RFC 7296 section 3.1. Private use: 240-255. */
export const ExchangeType = {
  /** RFC 7296 */
  IKE_SA_INIT: 34,
  /** RFC 7296 */
  IKE_AUTH: 35,
  /** RFC 7296 */
  CREATE_CHILD_SA: 36,
  /** RFC 7296 */
  INFORMATIONAL: 37,
  /** RFC 5723 */
  IKE_SESSION_RESUME: 38,
  /** RFC 9838 */
  GSA_AUTH: 39,
  /** RFC 9838 */
  GSA_REGISTRATION: 40,
  /** RFC 9838 */
  GSA_REKEY: 41,
  /** RFC 9838 */
  GSA_INBAND_REKEY: 42,
  /** RFC 9242 */
  IKE_INTERMEDIATE: 43,
  /** RFC 9370 */
  IKE_FOLLOWUP_KE: 44,
} as const;
export type ExchangeType = (typeof ExchangeType)[keyof typeof ExchangeType];
