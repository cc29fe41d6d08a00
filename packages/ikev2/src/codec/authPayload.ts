import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { UsageError } from "../bytes/errors.ts";
import type { AuthPayload } from "./message.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Next Payload  |C|  RESERVED   |         Payload Length        |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Auth Method   |                RESERVED                       |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~                      Authentication Data                      ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Authentication payload, RFC 7296 section 3.8. */
export function decodeAuth(reader: ByteReader): AuthPayload {
  const method = reader.uint8("AUTH Auth Method");
  reader.uint24("AUTH RESERVED"); // ignored on receipt, RFC 7296 section 3.8
  const data = reader.rest("AUTH Authentication Data");
  if (data.length === 0) {
    throw reader.refusal("badLength", "AUTH Authentication Data", "is empty");
  }
  return { kind: "AUTH", method, data };
}

export function encodeAuth(writer: ByteWriter, payload: AuthPayload): void {
  if (payload.data.length === 0) {
    throw new UsageError("badLength", "Authentication Data is empty");
  }
  writer.uint8(payload.method);
  writer.zeros(3);
  writer.bytes(payload.data);
}
