import type { ByteReader } from "../bytes/byteReader.ts";
import type { OpaquePayload, UnknownPayload, VendorIdPayload } from "./message.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Next Payload  |C|  RESERVED   |         Payload Length        |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~                    Vendor ID (VID), or data                   ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Vendor ID payload, RFC 7296 section 3.12: unfamiliar ones MUST be ignored, so any octets will do. */
export function decodeVendorId(reader: ByteReader): VendorIdPayload {
  return { kind: "V", data: reader.rest("V Vendor ID") };
}

/** Configuration (RFC 7296 section 3.15) and EAP (section 3.16) payloads: known, not processed, kept as they came. */
export function decodeOpaque(reader: ByteReader, kind: OpaquePayload["kind"]): OpaquePayload {
  return { kind, data: reader.rest(`${kind} data`) };
}

export function decodeUnknown(reader: ByteReader, payloadType: number, critical: boolean): UnknownPayload {
  return { kind: "Unknown", payloadType, critical, data: reader.rest(`payload ${payloadType} data`) };
}
