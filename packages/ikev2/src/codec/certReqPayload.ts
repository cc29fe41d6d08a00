import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import type { CertReqPayload } from "./message.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Next Payload  |C|  RESERVED   |         Payload Length        |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Cert Encoding |                                               |
 * +-+-+-+-+-+-+-+-+                                               |
 * ~                    Certification Authority                    ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Certificate Request payload, RFC 7296 section 3.7. It is a suggestion, so its content is nobody's syntax error. */
export function decodeCertReq(reader: ByteReader): CertReqPayload {
  const encoding = reader.uint8("CERTREQ Cert Encoding");
  return { kind: "CERTREQ", encoding, authorities: reader.rest("CERTREQ Certification Authority") };
}

export function encodeCertReq(writer: ByteWriter, payload: CertReqPayload): void {
  writer.uint8(payload.encoding);
  writer.bytes(payload.authorities);
}
