import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { UsageError } from "../bytes/errors.ts";
import type { KePayload } from "./message.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Next Payload  |C|  RESERVED   |         Payload Length        |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |      Key Exchange Method      |           RESERVED            |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~                       Key Exchange Data                       ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Key Exchange payload, RFC 7296 section 3.4. The size that a method wants is judged by the cryptography. */
export function decodeKe(reader: ByteReader): KePayload {
  const method = reader.uint16("KE Key Exchange Method");
  reader.uint16("KE RESERVED"); // ignored on receipt, RFC 7296 section 3.4
  const data = reader.rest("KE Key Exchange Data");
  if (data.length === 0) {
    throw reader.refusal("badLength", "KE Key Exchange Data", "is empty");
  }
  return { kind: "KE", method, data };
}

export function encodeKe(writer: ByteWriter, payload: KePayload): void {
  if (payload.data.length === 0) {
    throw new UsageError("badLength", "Key Exchange Data is empty");
  }
  writer.uint16(payload.method);
  writer.zeros(2);
  writer.bytes(payload.data);
}
