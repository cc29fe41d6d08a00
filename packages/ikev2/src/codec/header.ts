import { ByteReader } from "../bytes/byteReader.ts";
import { ByteWriter } from "../bytes/byteWriter.ts";
import { PeerIncompatible } from "../bytes/errors.ts";
import { ExchangeType } from "../registry/exchangeType.ts";
import { NotifyType } from "../registry/notifyType.ts";
import type { IkeHeader } from "./message.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                       IKE SA Initiator's SPI                  |
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                       IKE SA Responder's SPI                  |
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |  Next Payload | MjVer | MnVer | Exchange Type |     Flags     |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                          Message ID                           |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                            Length                             |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Octets of the IKE header, RFC 7296 section 3.1. */
export const IKE_HEADER_BYTES = 28;
/** Where the Next Payload field of the IKE header is. */
export const NEXT_PAYLOAD_OFFSET = 16;
/** Where its Exchange Type field is. */
export const EXCHANGE_TYPE_OFFSET = 18;
export const MAJOR_VERSION = 2;

const SECTION = "RFC 7296 section 3.1";
const FLAG_INITIATOR = 0x08;
const FLAG_HIGHER_VERSION = 0x10;
const FLAG_RESPONSE = 0x20;

export interface DecodedHeader {
  readonly header: IkeHeader;
  /** Type of the first payload. */
  readonly nextPayload: number;
  /** The Length field: octets of the whole message, not yet compared with anything. */
  readonly length: number;
}

/** Decodes the fixed header alone; throws MalformedMessage when there are fewer than 28 octets. */
export function decodeHeader(bytes: Uint8Array): DecodedHeader {
  const reader = new ByteReader(bytes, SECTION);
  const initiatorSpi = reader.uint64("HDR IKE SA Initiator's SPI");
  const responderSpi = reader.uint64("HDR IKE SA Responder's SPI");
  const nextPayload = reader.uint8("HDR Next Payload");
  const version = reader.uint8("HDR Version");
  const exchangeType = reader.uint8("HDR Exchange Type");
  const flags = reader.uint8("HDR Flags"); // the X bits are ignored, RFC 7296 section 3.1
  const messageId = reader.uint32("HDR Message ID");
  const length = reader.uint32("HDR Length");
  const header = {
    initiatorSpi,
    responderSpi,
    majorVersion: version >> 4,
    minorVersion: version & 0x0f,
    exchangeType,
    isInitiator: (flags & FLAG_INITIATOR) !== 0,
    isResponse: (flags & FLAG_RESPONSE) !== 0,
    hasHigherVersion: (flags & FLAG_HIGHER_VERSION) !== 0,
    messageId,
  };
  return { header, nextPayload, length };
}

/** Throws PeerIncompatible for any major version but 2. Only a higher one is answered (RFC 7296 section 2.5). */
export function requireVersion(header: IkeHeader): void {
  if (header.majorVersion === MAJOR_VERSION) {
    return;
  }
  throw new PeerIncompatible({
    code: "unsupportedMajorVersion",
    section: "RFC 7296 section 2.5",
    detail: `major version ${header.majorVersion}, only ${MAJOR_VERSION} is spoken here`,
    notifyType: header.majorVersion > MAJOR_VERSION ? NotifyType.INVALID_MAJOR_VERSION : undefined,
    notifyData: Uint8Array.of(MAJOR_VERSION),
  });
}

/** Throws MalformedMessage when Length is not that of the datagram, or the Initiator's SPI is zero. */
export function requireConsistent(decoded: DecodedHeader, datagramLength: number, reader: ByteReader): void {
  if (decoded.length !== datagramLength) {
    throw reader.refusal("badLength", "HDR Length", `says ${decoded.length} of ${datagramLength} octets`, 24);
  }
  // The value MUST NOT be zero, RFC 7296 section 3.1. In GSA_REKEY both SPI fields are one (RFC 9838 section 2.4.1).
  if (decoded.header.initiatorSpi === 0n && decoded.header.exchangeType !== ExchangeType.GSA_REKEY) {
    throw reader.refusal("badValue", "HDR IKE SA Initiator's SPI", "is zero", 0);
  }
}

/** The 28 octets of the header; `totalLength` counts them too. */
export function encodeHeader(header: IkeHeader, nextPayload: number, totalLength: number): Uint8Array {
  const writer = new ByteWriter(IKE_HEADER_BYTES);
  writeHeader(writer, header, nextPayload, totalLength);
  return writer.finish();
}

export function writeHeader(writer: ByteWriter, header: IkeHeader, nextPayload: number, totalLength: number): void {
  const flags =
    (header.isInitiator ? FLAG_INITIATOR : 0) |
    (header.hasHigherVersion ? FLAG_HIGHER_VERSION : 0) |
    (header.isResponse ? FLAG_RESPONSE : 0);
  writer.uint64(header.initiatorSpi);
  writer.uint64(header.responderSpi);
  writer.uint8(nextPayload);
  writer.uint8(header.majorVersion * 16 + header.minorVersion);
  writer.uint8(header.exchangeType);
  writer.uint8(flags);
  writer.uint32(header.messageId);
  writer.uint32(totalLength);
}
