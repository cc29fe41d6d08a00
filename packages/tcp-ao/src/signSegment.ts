import { macAlgorithms } from "./algorithms.ts";
import { fillChecksum } from "./checksum.ts";
import type { TcpAoCrypto } from "./crypto.ts";
import { type SegmentRefusal, segmentRefusal, TcpAoUsageError } from "./errors.ts";
import { computeMac, macInput, type SegmentKey } from "./mac.ts";
import { failure, type Result, success } from "./result.ts";
import { parseSegment, pseudoHeader, TCP_AO_MAC_OFFSET, TCP_CHECKSUM_OFFSET } from "./segment.ts";
import { withTcpAoOption } from "./tcpAoOption.ts";

export interface SignSegmentInput {
  readonly crypto: TcpAoCrypto;
  /** A whole IPv4 or IPv6 packet with one TCP segment, with or without a TCP-AO option. It is not changed. */
  readonly packet: Uint8Array;
  readonly key: SegmentKey;
  /** SendID of current_key. */
  readonly keyId: number;
  /** RecvID of rnext_key. */
  readonly rNextKeyId: number;
  /** SND.SNE. */
  readonly sne: number;
}

/**
 * The packet with a valid TCP-AO option and TCP checksum (RFC 5925 section 7.4, step 2).
 * Refusals: the packet is not TCP in IP, or the option does not fit.
 * @throws TcpAoUsageError for an ID outside 0-255 or a traffic key of the wrong length
 */
export function signSegment(input: SignSegmentInput): Result<Uint8Array, SegmentRefusal> {
  const { crypto, key } = input;
  assertKeyId(input.keyId);
  assertKeyId(input.rNextKeyId);
  const original = parseSegment(input.packet);
  if (!original.ok) return original;
  const { macLengthBytes } = macAlgorithms[key.algorithm];
  const packet = withTcpAoOption(original.value, { keyId: input.keyId, rNextKeyId: input.rNextKeyId, macLengthBytes });
  if (!packet.ok) return packet;
  const segment = parseSegment(packet.value);
  if (!segment.ok) return segment;
  const { tcpAo, tcpOffset } = segment.value;
  if (tcpAo === undefined) {
    return failure(segmentRefusal("noTcpAo", tcpOffset, "RFC 5925 section 7.4", "the option was not inserted"));
  }
  const mac = computeMac(crypto, key, macInput(segment.value, tcpAo, input.sne, key.coversTcpOptions));
  packet.value.set(mac, tcpOffset + tcpAo.offset + TCP_AO_MAC_OFFSET);
  // After TCP-AO: RFC 5925 section 7.3
  fillChecksum(packet.value.subarray(tcpOffset), TCP_CHECKSUM_OFFSET, pseudoHeader(segment.value));
  return success(packet.value);
}

/** "MKT IDs MUST support any value, 0-255 inclusive", RFC 5925 section 3.1. */
export function assertKeyId(id: number): void {
  if (!Number.isInteger(id) || id < 0 || id > 255) {
    throw new TcpAoUsageError("badKeyId", `an MKT ID is an integer from 0 to 255, not ${id} (RFC 5925 section 3.1)`);
  }
}
