import { concat, setUint16, setUint32 } from "./bytes.ts";
import { fillChecksum } from "./checksum.ts";
import { TcpAoUsageError } from "./errors.ts";
import { IPV6_HEADER_BYTES, PROTOCOL_TCP } from "./ipHeader.ts";
import { pseudoHeader, TCP_CHECKSUM_OFFSET, TCP_FIXED_HEADER_BYTES } from "./segment.ts";

const IPV4_HEADER_BYTES = 20;
const HOP_LIMIT = 255;

/** What {@link buildSegment} puts into a packet. */
export interface SegmentFields {
  /** 4 octets or 16; the same length as `destinationAddress`. */
  readonly sourceAddress: Uint8Array;
  readonly destinationAddress: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequenceNumber: number;
  readonly acknowledgmentNumber?: number;
  readonly flags: {
    readonly syn?: boolean;
    readonly ack?: boolean;
    readonly psh?: boolean;
    readonly fin?: boolean;
    readonly rst?: boolean;
  };
  readonly window?: number;
  /** TCP options as on the wire, a multiple of 4 octets, at most 40. */
  readonly options?: Uint8Array;
  readonly data?: Uint8Array;
}

/**
 * A whole IP packet with one TCP segment and right checksums, ready for `signSegment`.
 * @throws TcpAoUsageError `badAddress`, `badPort`, `badOptions`
 */
export function buildSegment(fields: SegmentFields): Uint8Array {
  const { sourceAddress, destinationAddress, options = new Uint8Array(), data = new Uint8Array() } = fields;
  assertFields(fields, options);
  const tcp = concat(tcpHeader(fields, options.length), options, data);
  const ip = sourceAddress.length === 4 ? ipv4Header(fields, tcp.length) : ipv6Header(fields, tcp.length);
  const packet = concat(ip, tcp);
  const pseudo = pseudoHeader({ packet, tcpOffset: ip.length, sourceAddress, destinationAddress });
  fillChecksum(packet.subarray(ip.length), TCP_CHECKSUM_OFFSET, pseudo);
  return packet;
}

function assertFields(fields: SegmentFields, options: Uint8Array): void {
  const { sourceAddress, destinationAddress } = fields;
  if (![4, 16].includes(sourceAddress.length) || sourceAddress.length !== destinationAddress.length) {
    throw new TcpAoUsageError("badAddress", "both addresses have 4 octets, or both have 16");
  }
  for (const port of [fields.sourcePort, fields.destinationPort]) {
    if (!Number.isInteger(port) || port < 0 || port > 0xffff)
      throw new TcpAoUsageError("badPort", `${port} is not a port`);
  }
  if (options.length > 40 || options.length % 4 !== 0) {
    throw new TcpAoUsageError("badOptions", "TCP options take a multiple of 4 octets, at most 40");
  }
}

function tcpHeader(fields: SegmentFields, optionBytes: number): Uint8Array {
  const header = new Uint8Array(TCP_FIXED_HEADER_BYTES);
  const { fin, syn, rst, psh, ack } = fields.flags;
  setUint16(header, 0, fields.sourcePort);
  setUint16(header, 2, fields.destinationPort);
  setUint32(header, 4, fields.sequenceNumber);
  setUint32(header, 8, fields.acknowledgmentNumber ?? 0);
  header[12] = ((TCP_FIXED_HEADER_BYTES + optionBytes) / 4) << 4;
  header[13] = (fin ? 1 : 0) | (syn ? 2 : 0) | (rst ? 4 : 0) | (psh ? 8 : 0) | (ack ? 16 : 0);
  setUint16(header, 14, fields.window ?? 0xffff);
  return header;
}

function ipv4Header(fields: SegmentFields, tcpBytes: number): Uint8Array {
  const header = new Uint8Array(IPV4_HEADER_BYTES);
  header[0] = 0x45;
  setUint16(header, 2, IPV4_HEADER_BYTES + tcpBytes);
  header[6] = 0x40; // Don't Fragment
  header[8] = HOP_LIMIT;
  header[9] = PROTOCOL_TCP;
  header.set(fields.sourceAddress, 12);
  header.set(fields.destinationAddress, 16);
  fillChecksum(header, 10);
  return header;
}

function ipv6Header(fields: SegmentFields, tcpBytes: number): Uint8Array {
  const header = new Uint8Array(IPV6_HEADER_BYTES);
  header[0] = 0x60;
  setUint16(header, 4, tcpBytes);
  header[6] = PROTOCOL_TCP;
  header[7] = HOP_LIMIT;
  header.set(fields.sourceAddress, 8);
  header.set(fields.destinationAddress, 24);
  return header;
}
