import { concat, copyOf, setUint16 } from "./bytes.ts";
import { fillChecksum } from "./checksum.ts";
import { type SegmentRefusal, segmentRefusal } from "./errors.ts";
import { IPV6_HEADER_BYTES } from "./ipHeader.ts";
import { failure, type Result, success } from "./result.ts";
import { TCP_FIXED_HEADER_BYTES, type TcpSegment } from "./segment.ts";
import { TcpOptionKind } from "./tcpOptions.ts";

const MAXIMUM_OPTION_BYTES = 40;
const MAXIMUM_LENGTH_FIELD = 0xffff;

/** The fields of a TCP-AO option whose MAC is still zero. */
export interface TcpAoFields {
  readonly keyId: number;
  readonly rNextKeyId: number;
  readonly macLengthBytes: number;
}

/**
 * A copy of the packet whose TCP-AO option has these fields and a zero MAC. An option that is already there with the
 * right length is overwritten in place (it may have been laid out by a TCP stack); any other is replaced by one behind
 * the last option. Lengths and the IPv4 header checksum are adjusted, the TCP checksum is not.
 */
export function withTcpAoOption(segment: TcpSegment, fields: TcpAoFields): Result<Uint8Array, SegmentRefusal> {
  const option = new Uint8Array(4 + fields.macLengthBytes);
  option.set([TcpOptionKind.tcpAo, option.length, fields.keyId, fields.rNextKeyId]);
  if (segment.tcpAo?.lengthBytes === option.length) {
    const packet = copyOf(segment.packet);
    packet.set(option, segment.tcpOffset + segment.tcpAo.offset);
    return success(packet);
  }
  return withOptionArea(segment, optionArea(segment, option));
}

/** A copy of the packet without its TCP-AO option (RFC 5925 section 7.5, step 1.a.i), TCP checksum filled in by the caller. */
export function withoutTcpAoOption(segment: TcpSegment): Result<Uint8Array, SegmentRefusal> {
  return withOptionArea(segment, optionArea(segment, new Uint8Array()));
}

/** The segment's own options without TCP-AO and trailing padding, then `option`, padded with End of Option List. */
function optionArea(segment: TcpSegment, option: Uint8Array): Uint8Array {
  const kept = segment.options.filter(({ kind }) => kind !== TcpOptionKind.tcpAo);
  const last = kept.findLastIndex(({ kind }) => kind !== TcpOptionKind.noOperation);
  const octets = kept
    .slice(0, last + 1)
    .map(({ offset, lengthBytes }) => copyOf(segment.packet, segment.tcpOffset + offset, lengthBytes));
  const unpadded = concat(...octets, option);
  return concat(unpadded, new Uint8Array(-unpadded.length & 3));
}

function withOptionArea(segment: TcpSegment, area: Uint8Array): Result<Uint8Array, SegmentRefusal> {
  const { tcpOffset } = segment;
  if (area.length > MAXIMUM_OPTION_BYTES) {
    const message = `the options need ${area.length} octets, TCP has ${MAXIMUM_OPTION_BYTES}`;
    return failure(segmentRefusal("optionSpaceExhausted", tcpOffset, "RFC 5925 section 7.6", message));
  }
  const fixed = segment.packet.subarray(0, tcpOffset + TCP_FIXED_HEADER_BYTES);
  const packet = concat(fixed, area, segment.data);
  packet[tcpOffset + 12] = (((TCP_FIXED_HEADER_BYTES + area.length) / 4) << 4) | ((packet[tcpOffset + 12] ?? 0) & 0x0f);
  const lengthField = segment.ipVersion === 4 ? packet.length : packet.length - IPV6_HEADER_BYTES;
  if (lengthField > MAXIMUM_LENGTH_FIELD) {
    return failure(segmentRefusal("packetTooLong", 0, "RFC 791 section 3.1", `${packet.length} octets are too many`));
  }
  setUint16(packet, segment.ipVersion === 4 ? 2 : 4, lengthField);
  if (segment.ipVersion === 4) fillChecksum(packet.subarray(0, tcpOffset), 10);
  return success(packet);
}
