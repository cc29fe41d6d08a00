import { uint8, uint16 } from "./bytes.ts";
import { internetChecksum } from "./checksum.ts";
import { type SegmentRefusal, type SegmentRefusalCode, segmentRefusal } from "./errors.ts";
import { failure, type Result, success } from "./result.ts";

/** IP protocol number and IPv6 next header of TCP. */
export const PROTOCOL_TCP = 6;
export const IPV6_HEADER_BYTES = 40;
const IPV4_MINIMUM_HEADER_BYTES = 20;

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;

/** What TCP needs to know of the IP header. Addresses are views into the packet. */
export interface IpHeader {
  readonly ipVersion: 4 | 6;
  readonly sourceAddress: Uint8Array;
  readonly destinationAddress: Uint8Array;
  /** Where TCP begins: after IPv4 options or IPv6 extension headers. */
  readonly tcpOffset: number;
}

/** Reads the IP header of a packet that is exactly one unfragmented TCP segment. */
export function parseIpHeader(packet: Uint8Array): Result<IpHeader, SegmentRefusal> {
  if (packet.length === 0) return refuse("notIp", 0, "RFC 791 section 3.1", "the packet is empty");
  const version = uint8(packet, 0) >>> 4;
  if (version === 4) return parseIpv4Header(packet);
  if (version === 6) return parseIpv6Header(packet);
  return refuse("notIp", 0, "RFC 791 section 3.1", `IP version ${version} is neither 4 nor 6`);
}

function parseIpv4Header(packet: Uint8Array): Result<IpHeader, SegmentRefusal> {
  const section = "RFC 791 section 3.1";
  if (packet.length < IPV4_MINIMUM_HEADER_BYTES) {
    return refuse("truncatedIpHeader", packet.length, section, "an IPv4 header has at least 20 octets");
  }
  const headerLength = (uint8(packet, 0) & 0x0f) * 4;
  if (headerLength < IPV4_MINIMUM_HEADER_BYTES || headerLength > packet.length) {
    return refuse("badIpHeaderLength", 0, section, `IHL says ${headerLength} octets of ${packet.length}`);
  }
  if (uint16(packet, 2) !== packet.length) {
    return refuse(
      "badIpTotalLength",
      2,
      section,
      `Total Length is ${uint16(packet, 2)}, the packet has ${packet.length} octets`,
    );
  }
  if ((uint16(packet, 6) & 0x3fff) !== 0) return refuse("fragment", 6, section, "the packet is a fragment");
  if (uint8(packet, 9) !== PROTOCOL_TCP) return refuse("notTcp", 9, section, `protocol ${uint8(packet, 9)} is not TCP`);
  if (internetChecksum(packet.subarray(0, headerLength)) !== 0) {
    return refuse("badIpHeaderChecksum", 10, section, "the IPv4 header checksum is wrong");
  }
  return success({
    ipVersion: 4,
    sourceAddress: packet.subarray(12, 16),
    destinationAddress: packet.subarray(16, 20),
    tcpOffset: headerLength,
  });
}

function parseIpv6Header(packet: Uint8Array): Result<IpHeader, SegmentRefusal> {
  const section = "RFC 8200 section 3";
  if (packet.length < IPV6_HEADER_BYTES) {
    return refuse("truncatedIpHeader", packet.length, section, "an IPv6 header has 40 octets");
  }
  const payloadLength = uint16(packet, 4);
  if (payloadLength !== packet.length - IPV6_HEADER_BYTES) {
    const found = packet.length - IPV6_HEADER_BYTES;
    return refuse("badIpTotalLength", 4, section, `Payload Length is ${payloadLength}, the packet has ${found} octets`);
  }
  const tcpOffset = skipExtensionHeaders(packet);
  if (!tcpOffset.ok) return tcpOffset;
  return success({
    ipVersion: 6,
    sourceAddress: packet.subarray(8, 24),
    destinationAddress: packet.subarray(24, 40),
    tcpOffset: tcpOffset.value,
  });
}

/** The offset of TCP behind the extension headers of RFC 8200 section 4. */
function skipExtensionHeaders(packet: Uint8Array): Result<number, SegmentRefusal> {
  let nextHeader = uint8(packet, 6);
  let offset = IPV6_HEADER_BYTES;
  while (nextHeader !== PROTOCOL_TCP) {
    const length = extensionHeaderLength(packet, nextHeader, offset);
    if (!length.ok) return length;
    nextHeader = uint8(packet, offset);
    offset += length.value;
  }
  return success(offset);
}

function extensionHeaderLength(packet: Uint8Array, nextHeader: number, offset: number): Result<number, SegmentRefusal> {
  if (nextHeader === FRAGMENT) return refuse("fragment", offset, "RFC 8200 section 4.5", "the packet is a fragment");
  if (![HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS].includes(nextHeader)) {
    return refuse("notTcp", offset, "RFC 8200 section 4", `next header ${nextHeader} is not TCP`);
  }
  if (offset + 8 > packet.length) {
    return refuse("truncatedIpHeader", offset, "RFC 8200 section 4", "an extension header has at least 8 octets");
  }
  const length = (uint8(packet, offset + 1) + 1) * 8;
  if (offset + length > packet.length) {
    return refuse("truncatedIpHeader", offset + 1, "RFC 8200 section 4", `the extension header has ${length} octets`);
  }
  // The pseudoheader names the final destination (RFC 8200 section 8.1): only there it is in the header
  if (nextHeader === ROUTING && uint8(packet, offset + 3) !== 0) {
    return refuse("routingHeaderNotFinished", offset + 3, "RFC 8200 section 8.1", "Segments Left is not zero");
  }
  return success(length);
}

function refuse(code: SegmentRefusalCode, offset: number, section: string, message: string) {
  return failure(segmentRefusal(code, offset, section, message));
}
