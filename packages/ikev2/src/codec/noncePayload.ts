import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { UsageError } from "../bytes/errors.ts";
import type { NoncePayload } from "./message.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Next Payload  |C|  RESERVED   |         Payload Length        |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~                            Nonce Data                         ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Nonce payload, RFC 7296 section 3.9. */
export function decodeNonce(reader: ByteReader): NoncePayload {
  const data = reader.rest("Nonce Nonce Data");
  if (!isNonceLength(data.length)) {
    throw reader.refusal("badLength", "Nonce Nonce Data", `${data.length} octets, not 16 to 256`);
  }
  return { kind: "Nonce", data };
}

export function encodeNonce(writer: ByteWriter, payload: NoncePayload): void {
  if (!isNonceLength(payload.data.length)) {
    throw new UsageError("badLength", `a nonce has 16 to 256 octets, not ${payload.data.length}`);
  }
  writer.bytes(payload.data);
}

/** The size MUST be between 16 and 256 octets, inclusive: RFC 7296 section 3.9. */
function isNonceLength(length: number): boolean {
  return length >= 16 && length <= 256;
}
