// Generated from registry/security-protocol-ids.tsv. Do not edit.
/** IKEv2 Security Protocol Identifiers, RFC 7296 section 3.3.1. Private use: 201-255. */
export const SecurityProtocolId = {
  /** RFC 7296 */
  NONE: 0,
  /** RFC 7296 */
  IKE: 1,
  /** RFC 7296 */
  AH: 2,
  /** RFC 7296 */
  ESP: 3,
  /** RFC 4595 */
  FC_ESP_HEADER: 4,
  /** RFC 4595 */
  FC_CT_AUTHENTICATION: 5,
  /** RFC 9838 */
  GIKE_UPDATE: 6,
  /** karp (private use) */
  TCP_AO: 201,
  /** karp (private use) */
  RP_OSPFV2: 202,
  /** karp (private use) */
  RP_OSPFV3: 203,
  /** karp (private use) */
  RP_PIM: 204,
} as const;
export type SecurityProtocolId = (typeof SecurityProtocolId)[keyof typeof SecurityProtocolId];
