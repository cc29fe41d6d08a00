import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { UsageError } from "../bytes/errors.ts";
import type { NotifyPayload } from "./message.ts";
import { isSpiSize } from "./spiSize.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Next Payload  |C|  RESERVED   |         Payload Length        |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |  Protocol ID  |   SPI Size    |      Notify Message Type      |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~                Security Parameter Index (SPI)                 ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~                       Notification Data                       ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Notify payload, RFC 7296 section 3.10. What its data mean is in notifies/. */
export function decodeNotify(reader: ByteReader): NotifyPayload {
  const protocolId = reader.uint8("N Protocol ID");
  const spiSize = reader.uint8("N SPI Size");
  if (!isSpiSize("N", protocolId, spiSize)) {
    throw reader.refusal("badValue", "N SPI Size", `${spiSize} for protocol ${protocolId}`);
  }
  const notifyType = reader.uint16("N Notify Message Type");
  const spi = reader.bytes(spiSize, "N SPI");
  return { kind: "N", protocolId, spi, notifyType, data: reader.rest("N Notification Data") };
}

export function encodeNotify(writer: ByteWriter, payload: NotifyPayload): void {
  if (!isSpiSize("N", payload.protocolId, payload.spi.length)) {
    throw new UsageError("badSpi", `an SPI of ${payload.spi.length} octets for protocol ${payload.protocolId}`);
  }
  writer.uint8(payload.protocolId);
  writer.uint8(payload.spi.length);
  writer.uint16(payload.notifyType);
  writer.bytes(payload.spi);
  writer.bytes(payload.data);
}
