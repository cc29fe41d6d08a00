// Generated from registry/traffic-selector-types.tsv. Do not edit.
/** IKEv2 Traffic Selector Types, RFC 7296 section 3.13.1. Private use: 241-255. */
export const TrafficSelectorType = {
  /** RFC 7296 */
  TS_IPV4_ADDR_RANGE: 7,
  /** RFC 7296 */
  TS_IPV6_ADDR_RANGE: 8,
  /** RFC 4595 */
  TS_FC_ADDR_RANGE: 9,
  /** RFC 9478 */
  TS_SECLABEL: 10,
} as const;
export type TrafficSelectorType = (typeof TrafficSelectorType)[keyof typeof TrafficSelectorType];
