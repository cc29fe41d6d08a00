import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { UsageError } from "../bytes/errors.ts";
import type { Proposal } from "./message.ts";
import { isSpiSize } from "./spiSize.ts";
import { decodeTransforms, encodeTransforms } from "./transform.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Last Substruc |   RESERVED    |         Proposal Length       |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Proposal Num  |  Protocol ID  |    SPI Size   |Num  Transforms|
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * ~                        SPI (variable)                         ~
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~                        <Transforms>                           ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

const HEADER_BYTES = 8;
/** "More" in Last Substruc: the payload type of a proposal in IKEv1. */
const MORE_PROPOSALS = 2;

/** One proposal, RFC 7296 section 3.3.1, and whether Last Substruc says that another follows. */
export function decodeProposal(reader: ByteReader): { readonly proposal: Proposal; readonly hasMore: boolean } {
  const lastSubstruc = reader.uint8("Proposal Last Substruc");
  if (lastSubstruc !== 0 && lastSubstruc !== MORE_PROPOSALS) {
    throw reader.refusal("badValue", "Proposal Last Substruc", `${lastSubstruc} is neither 0 nor 2`);
  }
  reader.uint8("Proposal RESERVED");
  const length = reader.uint16("Proposal Length");
  if (length < HEADER_BYTES || length - 4 > reader.remaining) {
    throw reader.refusal("badLength", "Proposal Length", `${length} octets, ${reader.remaining + 4} are left`);
  }
  const proposal = decodeBody(reader.sub(length - 4, "Proposal", "RFC 7296 section 3.3.1"));
  return { proposal, hasMore: lastSubstruc === MORE_PROPOSALS };
}

export function encodeProposal(writer: ByteWriter, proposal: Proposal, hasMore: boolean): void {
  if (!isSpiSize("SA", proposal.protocolId, proposal.spi.length)) {
    throw new UsageError("badSpi", `an SPI of ${proposal.spi.length} octets for protocol ${proposal.protocolId}`);
  }
  if (proposal.number === 0 || proposal.transforms.length === 0) {
    throw new UsageError("badProposal", "a proposal needs a number from 1 on and a transform");
  }
  const start = writer.length;
  writer.uint8(hasMore ? MORE_PROPOSALS : 0);
  writer.zeros(1);
  writer.uint16(0);
  writer.uint8(proposal.number);
  writer.uint8(proposal.protocolId);
  writer.uint8(proposal.spi.length);
  writer.uint8(proposal.transforms.length);
  writer.bytes(proposal.spi);
  encodeTransforms(writer, proposal.transforms);
  writer.patchUint16(start + 2, writer.length - start);
}

function decodeBody(reader: ByteReader): Proposal {
  const number = reader.uint8("Proposal Num");
  if (number === 0) {
    throw reader.refusal("badValue", "Proposal Num", "is zero");
  }
  const protocolId = reader.uint8("Proposal Protocol ID");
  const spiSize = reader.uint8("Proposal SPI Size");
  if (!isSpiSize("SA", protocolId, spiSize)) {
    throw reader.refusal("badValue", "Proposal SPI Size", `${spiSize} for protocol ${protocolId}`);
  }
  const count = reader.uint8("Proposal Num Transforms");
  if (count === 0) {
    throw reader.refusal("badCount", "Proposal Num Transforms", "is zero");
  }
  const spi = reader.bytes(spiSize, "Proposal SPI");
  const transforms = decodeTransforms(reader, count);
  reader.expectEnd("Proposal Transforms");
  return { number, protocolId, spi, transforms };
}
