/**
 * Traffic Selector, RFC 7296 section 3.13.1 (TS_IPV4_ADDR_RANGE 7, TS_IPV6_ADDR_RANGE 8).
 * Addresses are 4 or 16 octets, inclusive ranges. Types that are not known stay opaque.
 */
export type TrafficSelector =
  | {
      readonly kind: "range";
      readonly ipProtocol: number;
      readonly startPort: number;
      readonly endPort: number;
      readonly startAddress: Uint8Array;
      readonly endAddress: Uint8Array;
    }
  | { readonly kind: "unknown"; readonly tsType: number; readonly data: Uint8Array };
