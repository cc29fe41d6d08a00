import { macAlgorithms } from "./algorithms.ts";
import { equalMac, type TcpAoCrypto } from "./crypto.ts";
import { type SegmentRefusal, segmentRefusal } from "./errors.ts";
import { computeMac, macInput, type SegmentKey } from "./mac.ts";
import { failure, type Result, success } from "./result.ts";
import { parseSegment, TCP_AO_MAC_OFFSET, type TcpAoOption, type TcpSegment } from "./segment.ts";

export interface VerifySegmentInput {
  readonly crypto: TcpAoCrypto;
  /** A whole IPv4 or IPv6 packet with one TCP segment. */
  readonly packet: Uint8Array;
  readonly key: SegmentKey;
  /** RCV.SNE. */
  readonly sne: number;
}

/** A segment whose MAC is right. */
export type VerifiedSegment = TcpSegment & { readonly tcpAo: TcpAoOption };

/**
 * Checks the TCP-AO option of a packet (RFC 5925 section 7.5, steps 2.a and 2.d). The TCP checksum is not looked at.
 * @throws TcpAoUsageError for a traffic key of the wrong length
 */
export function verifySegment(input: VerifySegmentInput): Result<VerifiedSegment, SegmentRefusal> {
  const segment = parseSegment(input.packet);
  if (!segment.ok) return segment;
  return verifyParsedSegment(input.crypto, segment.value, input.key, input.sne);
}

/** The same for a packet that is parsed already. */
export function verifyParsedSegment(
  crypto: TcpAoCrypto,
  segment: TcpSegment,
  key: SegmentKey,
  sne: number,
): Result<VerifiedSegment, SegmentRefusal> {
  const { tcpAo, tcpOffset } = segment;
  if (tcpAo === undefined) {
    return failure(segmentRefusal("noTcpAo", tcpOffset, "RFC 5925 section 7.5", "there is no TCP-AO option"));
  }
  const optionOffset = tcpOffset + tcpAo.offset;
  const { optionLengthBytes } = macAlgorithms[key.algorithm];
  // RFC 5925 section 7.5 step 2.a, before any MAC is computed
  if (tcpAo.lengthBytes !== optionLengthBytes) {
    const message = `the option has ${tcpAo.lengthBytes} octets, the MKT's has ${optionLengthBytes}`;
    return failure(segmentRefusal("tcpAoLengthMismatch", optionOffset + 1, "RFC 5925 section 7.5", message));
  }
  const mac = computeMac(crypto, key, macInput(segment, tcpAo, sne, key.coversTcpOptions));
  if (!equalMac(crypto, mac, tcpAo.mac)) {
    const message = "the MAC does not match";
    return failure(segmentRefusal("macMismatch", optionOffset + TCP_AO_MAC_OFFSET, "RFC 5925 section 7.5", message));
  }
  return success({ ...segment, tcpAo });
}
