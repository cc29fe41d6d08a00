import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { UsageError } from "../bytes/errors.ts";
import type { Proposal, SaPayload } from "./message.ts";
import { decodeProposal, encodeProposal } from "./proposal.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Next Payload  |C|  RESERVED   |         Payload Length        |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~                          <Proposals>                          ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Proposals of one SA payload that are looked at. */
const MAXIMUM_PROPOSALS = 32;

/** Security Association payload, RFC 7296 section 3.3. */
export function decodeSa(reader: ByteReader): SaPayload {
  const proposals: Proposal[] = [];
  let hasMore = true;
  while (hasMore) {
    const offset = reader.offset;
    if (proposals.length === MAXIMUM_PROPOSALS) {
      throw reader.refusal("tooMany", "SA Proposals", `more than ${MAXIMUM_PROPOSALS}`, offset);
    }
    const next = decodeProposal(reader);
    // Each MUST have a number one greater than the previous; the answer has just one, of any number: RFC 7296 section 3.3
    const previous = proposals.at(-1);
    if (previous !== undefined && next.proposal.number !== previous.number + 1) {
      const detail = `${next.proposal.number} follows ${previous.number}`;
      throw reader.refusal("badValue", "Proposal Num", detail, offset + 4);
    }
    proposals.push(next.proposal);
    hasMore = next.hasMore;
  }
  reader.expectEnd("SA Proposals");
  return { kind: "SA", proposals };
}

export function encodeSa(writer: ByteWriter, payload: SaPayload): void {
  if (payload.proposals.length === 0 || payload.proposals.length > MAXIMUM_PROPOSALS) {
    throw new UsageError("badProposal", `an SA payload has 1 to ${MAXIMUM_PROPOSALS} proposals`);
  }
  const [first] = payload.proposals;
  payload.proposals.forEach((proposal, index) => {
    if (proposal.number !== (first?.number ?? 0) + index) {
      throw new UsageError("badProposal", "proposals are numbered in a row");
    }
    encodeProposal(writer, proposal, index < payload.proposals.length - 1);
  });
}
