/** What is wrong with the octets of a packet. The network (or whoever made the packet) is at fault. */
export type SegmentRefusalCode =
  | "notIp"
  | "truncatedIpHeader"
  | "badIpHeaderLength"
  | "badIpTotalLength"
  | "badIpHeaderChecksum"
  | "fragment"
  | "routingHeaderNotFinished"
  | "notTcp"
  | "truncatedTcpHeader"
  | "badTcpDataOffset"
  | "badTcpChecksum"
  | "truncatedTcpOption"
  | "badTcpOptionLength"
  | "badTcpAoLength"
  | "multipleTcpAo"
  | "tcpAoWithTcpMd5"
  | "noTcpAo"
  | "tcpAoLengthMismatch"
  | "optionSpaceExhausted"
  | "packetTooLong"
  | "macMismatch";

/** A typed refusal of a packet: which rule, in which section, at which octet. */
export interface SegmentRefusal {
  readonly code: SegmentRefusalCode;
  /** Offset in the packet, in octets. */
  readonly offset: number;
  /** The rule that is broken, for example "RFC 5925 section 2.2". */
  readonly section: string;
  readonly message: string;
}

export function segmentRefusal(
  code: SegmentRefusalCode,
  offset: number,
  section: string,
  message: string,
): SegmentRefusal {
  return { code, offset, section, message };
}

/** What the caller asked for and cannot have. */
export type TcpAoUsageErrorCode =
  | "badAddress"
  | "badPort"
  | "badKeyId"
  | "badMasterKey"
  | "badConnectionIdentifier"
  | "badSequenceNumber"
  | "badTrafficKey"
  | "badOptions"
  | "overlappingSendId"
  | "overlappingRecvId"
  | "unknownMkt"
  | "mktInUse"
  | "mktDoesNotMatch"
  | "noMatchingMkt"
  | "connectionExists"
  | "unknownConnection"
  | "wrongConnection";

/** The caller's mistake (thrown): `code` is stable, the message says what to do and never holds a key. */
export class TcpAoUsageError extends Error {
  readonly code: TcpAoUsageErrorCode;

  constructor(code: TcpAoUsageErrorCode, message: string) {
    super(message);
    this.name = "TcpAoUsageError";
    this.code = code;
  }
}
