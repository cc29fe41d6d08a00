import { uint8 } from "./bytes.ts";
import { type SegmentRefusal, segmentRefusal } from "./errors.ts";
import { failure, type Result, success } from "./result.ts";

/** TCP option kinds that TCP-AO has to know. */
export const TcpOptionKind = { endOfOptionList: 0, noOperation: 1, md5Signature: 19, tcpAo: 29 } as const;

const MINIMUM_TCP_AO_BYTES = 4;

/** Where an option is; offsets count from the first octet of the option area. */
export interface TcpOptionPosition {
  readonly kind: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

export interface TcpOptionArea {
  /** All options in order, single-octet ones too, without the End of Option List and what follows it. */
  readonly options: readonly TcpOptionPosition[];
  /** The TCP-AO option, if there is one. */
  readonly tcpAo?: TcpOptionPosition;
}

/**
 * Walks the option area of a TCP header.
 * @param area the octets between the fixed header and the data
 * @param areaOffset where the area begins in the packet, for the refusal's offset
 */
export function parseTcpOptions(area: Uint8Array, areaOffset: number): Result<TcpOptionArea, SegmentRefusal> {
  const options: TcpOptionPosition[] = [];
  let offset = 0;
  while (offset < area.length && uint8(area, offset) !== TcpOptionKind.endOfOptionList) {
    const option = readOption(area, offset, areaOffset);
    if (!option.ok) return option;
    options.push(option.value);
    offset += option.value.lengthBytes;
  }
  return checkTcpAo(options, areaOffset);
}

function readOption(area: Uint8Array, offset: number, areaOffset: number): Result<TcpOptionPosition, SegmentRefusal> {
  const kind = uint8(area, offset);
  if (kind === TcpOptionKind.noOperation) return success({ kind, offset, lengthBytes: 1 });
  const at = areaOffset + offset;
  if (offset + 2 > area.length) {
    return failure(
      segmentRefusal("truncatedTcpOption", at, "RFC 9293 section 3.1", `option kind ${kind} has no length`),
    );
  }
  const lengthBytes = uint8(area, offset + 1);
  const isTcpAo = kind === TcpOptionKind.tcpAo;
  if (lengthBytes < (isTcpAo ? MINIMUM_TCP_AO_BYTES : 2)) {
    return failure(badLength(isTcpAo, at + 1, `option kind ${kind} cannot have a length of ${lengthBytes}`));
  }
  if (offset + lengthBytes > area.length) {
    return failure(badLength(isTcpAo, at + 1, `option kind ${kind} of ${lengthBytes} octets goes past the header`));
  }
  return success({ kind, offset, lengthBytes });
}

/** "The Length value MUST be ... consistent with the TCP header length", RFC 5925 section 2.2. */
function badLength(isTcpAo: boolean, offset: number, message: string): SegmentRefusal {
  return isTcpAo
    ? segmentRefusal("badTcpAoLength", offset, "RFC 5925 section 2.2", message)
    : segmentRefusal("badTcpOptionLength", offset, "RFC 9293 section 3.1", message);
}

function checkTcpAo(options: readonly TcpOptionPosition[], areaOffset: number): Result<TcpOptionArea, SegmentRefusal> {
  const [tcpAo, second] = options.filter((option) => option.kind === TcpOptionKind.tcpAo);
  if (tcpAo === undefined) return success({ options });
  // RFC 5925 section 2.2: "A single TCP segment MUST NOT have more than one TCP-AO"
  if (second !== undefined) {
    const at = areaOffset + second.offset;
    return failure(segmentRefusal("multipleTcpAo", at, "RFC 5925 section 2.2", "there is more than one TCP-AO option"));
  }
  // RFC 5925 section 2.2: "When both options appear, TCP MUST silently discard the segment"
  const md5 = options.find((option) => option.kind === TcpOptionKind.md5Signature);
  if (md5 !== undefined) {
    const at = areaOffset + md5.offset;
    return failure(segmentRefusal("tcpAoWithTcpMd5", at, "RFC 5925 section 2.2", "TCP-AO and TCP MD5 are both there"));
  }
  return success({ options, tcpAo });
}
