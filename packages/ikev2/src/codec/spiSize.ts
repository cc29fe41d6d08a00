import { SecurityProtocolId } from "../registry/securityProtocolId.ts";

/** Where an SPI stands. The IKE SA's own SPIs stand in the header, but in an SA payload that rekeys it. */
export type SpiPlace = "SA" | "N" | "D";

/**
 * Whether an SPI of `size` octets may stand for `protocolId` (RFC 7296 sections 3.3.1, 3.10, 3.11; TCP_AO: the one octet
 * of a KeyID). Protocols that are not known may have any size.
 */
export function isSpiSize(place: SpiPlace, protocolId: number, size: number): boolean {
  const isEmptyNotify = place === "N" && size === 0;
  switch (protocolId) {
    case SecurityProtocolId.IKE:
      return size === 0 || (place === "SA" && size === 8);
    case SecurityProtocolId.AH:
    case SecurityProtocolId.ESP:
      return size === 4 || isEmptyNotify;
    case SecurityProtocolId.TCP_AO:
      return size === 1 || isEmptyNotify;
    default:
      return true;
  }
}
