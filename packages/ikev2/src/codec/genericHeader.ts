import type { ByteReader } from "../bytes/byteReader.ts";
import { ByteWriter } from "../bytes/byteWriter.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Next Payload  |C|  RESERVED   |         Payload Length        |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Octets of the generic payload header, RFC 7296 section 3.2. */
export const GENERIC_HEADER_BYTES = 4;

export interface GenericHeader {
  readonly nextPayload: number;
  readonly critical: boolean;
  /** Octets that follow this header. */
  readonly bodyLength: number;
}

/** Reads the header of one payload; its body is then known to be there. */
export function decodeGenericHeader(reader: ByteReader): GenericHeader {
  const nextPayload = reader.uint8("Next Payload");
  const critical = (reader.uint8("Critical") & 0x80) !== 0; // RESERVED is ignored, RFC 7296 section 3.2
  const payloadLength = reader.uint16("Payload Length");
  const bodyLength = payloadLength - GENERIC_HEADER_BYTES;
  if (bodyLength < 0) {
    throw reader.refusal("badLength", "Payload Length", `${payloadLength} is less than the generic header`);
  }
  if (bodyLength > reader.remaining) {
    throw reader.refusal("badLength", "Payload Length", `${bodyLength} octets, ${reader.remaining} are left`);
  }
  return { nextPayload, critical, bodyLength };
}

/** The 4 octets before a payload's body; `payloadLength` counts them too. */
export function encodeGenericHeader(nextPayload: number, payloadLength: number, critical = false): Uint8Array {
  const writer = new ByteWriter(GENERIC_HEADER_BYTES);
  writeGenericHeader(writer, nextPayload, payloadLength, critical);
  return writer.finish();
}

export function writeGenericHeader(
  writer: ByteWriter,
  nextPayload: number,
  payloadLength: number,
  critical = false,
): void {
  writer.uint8(nextPayload);
  writer.uint8(critical ? 0x80 : 0);
  writer.uint16(payloadLength);
}
