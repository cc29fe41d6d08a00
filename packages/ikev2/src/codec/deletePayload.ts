import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { UsageError } from "../bytes/errors.ts";
import type { DeletePayload } from "./message.ts";
import { isSpiSize } from "./spiSize.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Next Payload  |C|  RESERVED   |         Payload Length        |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Protocol ID   |   SPI Size    |          Num of SPIs          |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~               Security Parameter Index(es) (SPI)              ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** SPIs of one Delete payload that are looked at: as many as there are KeyIDs. */
const MAXIMUM_SPIS = 256;

/** Delete payload, RFC 7296 section 3.11. */
export function decodeDelete(reader: ByteReader): DeletePayload {
  const protocolId = reader.uint8("D Protocol ID");
  const spiSize = reader.uint8("D SPI Size");
  if (!isSpiSize("D", protocolId, spiSize)) {
    throw reader.refusal("badValue", "D SPI Size", `${spiSize} for protocol ${protocolId}`);
  }
  const count = reader.uint16("D Num of SPIs");
  if (count > 0 && spiSize === 0) {
    throw reader.refusal("badCount", "D Num of SPIs", `${count} SPIs of no size`);
  }
  if (count * spiSize !== reader.remaining) {
    throw reader.refusal("badCount", "D Num of SPIs", `${count} of size ${spiSize} in ${reader.remaining} octets`);
  }
  if (count > MAXIMUM_SPIS) {
    throw reader.refusal("tooMany", "D Num of SPIs", `more than ${MAXIMUM_SPIS}`);
  }
  const spis = Array.from({ length: count }, () => reader.bytes(spiSize, "D SPI"));
  return { kind: "D", protocolId, spiSize, spis };
}

export function encodeDelete(writer: ByteWriter, payload: DeletePayload): void {
  const { protocolId, spiSize, spis } = payload;
  if (!isSpiSize("D", protocolId, spiSize) || spis.some((spi) => spi.length !== spiSize || spiSize === 0)) {
    throw new UsageError("badSpi", `SPI Size ${spiSize} for protocol ${protocolId} or for one of the SPIs`);
  }
  if (spis.length > MAXIMUM_SPIS) {
    throw new UsageError("tooMany", `a Delete payload has at most ${MAXIMUM_SPIS} SPIs`);
  }
  writer.uint8(protocolId);
  writer.uint8(spiSize);
  writer.uint16(spis.length);
  for (const spi of spis) {
    writer.bytes(spi);
  }
}
