import { type MacAlgorithm, macAlgorithms } from "./algorithms.ts";
import { concat, copyOf, setUint32 } from "./bytes.ts";
import type { TcpAoCrypto } from "./crypto.ts";
import { TcpAoUsageError } from "./errors.ts";
import {
  pseudoHeader,
  TCP_AO_MAC_OFFSET,
  TCP_CHECKSUM_OFFSET,
  TCP_FIXED_HEADER_BYTES,
  type TcpAoOption,
  type TcpSegment,
} from "./segment.ts";

/** What computes the MAC of a segment: the traffic key and those components of its MKT that matter here. */
export interface SegmentKey {
  readonly algorithm: MacAlgorithm;
  readonly trafficKey: Uint8Array;
  /** The MKT's TCP option flag: whether options other than TCP-AO are in the MAC (RFC 5925 section 3.1). */
  readonly coversTcpOptions: boolean;
}

/** MAC = MAC_alg(traffic_key, message), truncated to the algorithm's MAC_Length (RFC 5925 section 5.1). */
export function computeMac(crypto: TcpAoCrypto, key: SegmentKey, message: Uint8Array): Uint8Array {
  const { macLengthBytes, trafficKeyBits } = macAlgorithms[key.algorithm];
  if (key.trafficKey.length * 8 !== trafficKeyBits) {
    throw new TcpAoUsageError("badTrafficKey", `a traffic key for ${key.algorithm} has ${trafficKeyBits} bits`);
  }
  return copyOf(untruncatedMac(crypto, key, message), 0, macLengthBytes);
}

function untruncatedMac(crypto: TcpAoCrypto, key: SegmentKey, message: Uint8Array): Uint8Array {
  switch (key.algorithm) {
    case "hmac-sha-1-96":
      return crypto.hmac("sha1", key.trafficKey, message);
    case "hmac-sha-256-128":
      return crypto.hmac("sha256", key.trafficKey, message);
    case "aes-128-cmac-96":
      return crypto.aesCmac(key.trafficKey, message);
  }
}

/** SNE | IP pseudoheader | TCP header | TCP data: the data input to the MAC, RFC 5925 section 5.1. */
export function macInput(segment: TcpSegment, tcpAo: TcpAoOption, sne: number, coversTcpOptions: boolean): Uint8Array {
  const extension = new Uint8Array(4);
  setUint32(extension, 0, sne);
  return concat(extension, pseudoHeader(segment), headerInput(segment, tcpAo, coversTcpOptions), segment.data);
}

/** The TCP header with checksum and MAC zeroed; without options, all but TCP-AO are left out, not zeroed. */
function headerInput(segment: TcpSegment, tcpAo: TcpAoOption, coversTcpOptions: boolean): Uint8Array {
  const header = copyOf(segment.packet, segment.tcpOffset, segment.tcpHeaderBytes);
  header.fill(0, TCP_CHECKSUM_OFFSET, TCP_CHECKSUM_OFFSET + 2);
  header.fill(0, tcpAo.offset + TCP_AO_MAC_OFFSET, tcpAo.offset + tcpAo.lengthBytes);
  if (coversTcpOptions) return header;
  const option = header.subarray(tcpAo.offset, tcpAo.offset + tcpAo.lengthBytes);
  return concat(header.subarray(0, TCP_FIXED_HEADER_BYTES), option);
}
