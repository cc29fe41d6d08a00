import { concat, uint8, uint16, uint32 } from "./bytes.ts";
import { internetChecksum } from "./checksum.ts";
import { type SegmentRefusal, segmentRefusal } from "./errors.ts";
import { PROTOCOL_TCP, parseIpHeader } from "./ipHeader.ts";
import { failure, type Result, success } from "./result.ts";
import { parseTcpOptions, type TcpOptionPosition } from "./tcpOptions.ts";

export const TCP_FIXED_HEADER_BYTES = 20;
/** Offset of the Checksum field in the TCP header. */
export const TCP_CHECKSUM_OFFSET = 16;
/** Kind, Length, KeyID and RNextKeyID come before the MAC. */
export const TCP_AO_MAC_OFFSET = 4;

/** The TCP-AO option of a segment (RFC 5925 section 2.2). */
export interface TcpAoOption {
  /** From the first octet of the TCP header. */
  readonly offset: number;
  /** The Length field: 4 and the MAC. */
  readonly lengthBytes: number;
  readonly keyId: number;
  readonly rNextKeyId: number;
  readonly mac: Uint8Array;
}

/** A whole IPv4 or IPv6 packet that carries one TCP segment. Arrays are views into `packet`. */
export interface TcpSegment {
  readonly packet: Uint8Array;
  readonly ipVersion: 4 | 6;
  readonly sourceAddress: Uint8Array;
  readonly destinationAddress: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequenceNumber: number;
  readonly acknowledgmentNumber: number;
  readonly isSyn: boolean;
  readonly isAck: boolean;
  readonly isRst: boolean;
  readonly isFin: boolean;
  /** Where the TCP header begins in `packet`. */
  readonly tcpOffset: number;
  /** Data Offset, in octets: fixed header and options. */
  readonly tcpHeaderBytes: number;
  /** Offsets count from the first octet of the TCP header. */
  readonly options: readonly TcpOptionPosition[];
  readonly tcpAo?: TcpAoOption;
  readonly data: Uint8Array;
}

/**
 * Reads a packet. Every length is checked against every other (RFC 5925 section 2.2 wants the full check);
 * the TCP checksum is not: see {@link hasValidTcpChecksum}. Any octets give a segment or a typed refusal.
 */
export function parseSegment(packet: Uint8Array): Result<TcpSegment, SegmentRefusal> {
  const ip = parseIpHeader(packet);
  if (!ip.ok) return ip;
  const { tcpOffset } = ip.value;
  const header = parseTcpHeaderLength(packet, tcpOffset);
  if (!header.ok) return header;
  const tcp = packet.subarray(tcpOffset);
  const area = tcp.subarray(TCP_FIXED_HEADER_BYTES, header.value);
  const options = parseTcpOptions(area, tcpOffset + TCP_FIXED_HEADER_BYTES);
  if (!options.ok) return options;
  const flags = uint8(tcp, 13);
  return success({
    packet,
    ...ip.value,
    sourcePort: uint16(tcp, 0),
    destinationPort: uint16(tcp, 2),
    sequenceNumber: uint32(tcp, 4),
    acknowledgmentNumber: uint32(tcp, 8),
    isFin: (flags & 0x01) !== 0,
    isSyn: (flags & 0x02) !== 0,
    isRst: (flags & 0x04) !== 0,
    isAck: (flags & 0x10) !== 0,
    tcpHeaderBytes: header.value,
    options: options.value.options.map(fromTcpHeader),
    ...(options.value.tcpAo && { tcpAo: readTcpAo(tcp, fromTcpHeader(options.value.tcpAo)) }),
    data: tcp.subarray(header.value),
  });
}

/** Whether this is a SYN in the sense of RFC 5925 section 5.2: SYN set and ACK not set. */
export function isSynWithoutAck(segment: TcpSegment): boolean {
  return segment.isSyn && !segment.isAck;
}

/** Whether the TCP checksum is right. A packet captured before checksum offload has a wrong one. */
export function hasValidTcpChecksum(segment: TcpSegment): boolean {
  return internetChecksum(pseudoHeader(segment), segment.packet.subarray(segment.tcpOffset)) === 0;
}

/** The IP pseudoheader, exactly as for the TCP checksum (RFC 5925 section 5.1, figures 5 and 6). */
export function pseudoHeader(
  segment: Pick<TcpSegment, "packet" | "tcpOffset" | "sourceAddress" | "destinationAddress">,
): Uint8Array {
  const { sourceAddress, destinationAddress } = segment;
  const tcpLength = segment.packet.length - segment.tcpOffset;
  const isIpv4 = sourceAddress.length === 4;
  const tail = isIpv4
    ? [0, PROTOCOL_TCP, tcpLength >>> 8, tcpLength & 0xff]
    : [0, 0, tcpLength >>> 8, tcpLength & 0xff, 0, 0, 0, PROTOCOL_TCP];
  return concat(sourceAddress, destinationAddress, Uint8Array.from(tail));
}

function parseTcpHeaderLength(packet: Uint8Array, tcpOffset: number): Result<number, SegmentRefusal> {
  const available = packet.length - tcpOffset;
  if (available < TCP_FIXED_HEADER_BYTES) {
    const message = `a TCP header has at least 20 octets, here are ${available}`;
    return failure(segmentRefusal("truncatedTcpHeader", packet.length, "RFC 9293 section 3.1", message));
  }
  const headerBytes = (uint8(packet, tcpOffset + 12) >>> 4) * 4;
  if (headerBytes < TCP_FIXED_HEADER_BYTES || headerBytes > available) {
    const message = `Data Offset says ${headerBytes} octets of ${available}`;
    return failure(segmentRefusal("badTcpDataOffset", tcpOffset + 12, "RFC 9293 section 3.1", message));
  }
  return success(headerBytes);
}

function fromTcpHeader(option: TcpOptionPosition): TcpOptionPosition {
  return { ...option, offset: option.offset + TCP_FIXED_HEADER_BYTES };
}

function readTcpAo(tcp: Uint8Array, position: TcpOptionPosition): TcpAoOption {
  const { offset, lengthBytes } = position;
  return {
    offset,
    lengthBytes,
    keyId: uint8(tcp, offset + 2),
    rNextKeyId: uint8(tcp, offset + 3),
    mac: tcp.subarray(offset + TCP_AO_MAC_OFFSET, offset + lengthBytes),
  };
}
