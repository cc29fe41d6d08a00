import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { UsageError } from "../bytes/errors.ts";
import type { TsPayload } from "./message.ts";
import type { TrafficSelector } from "./trafficSelector.ts";
import { decodeTrafficSelector, encodeTrafficSelector } from "./trafficSelectorCodec.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Next Payload  |C|  RESERVED   |         Payload Length        |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Number of TSs |                 RESERVED                      |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~                       <Traffic Selectors>                     ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Traffic Selector payload, RFC 7296 section 3.13. */
export function decodeTs(reader: ByteReader, kind: TsPayload["kind"]): TsPayload {
  const count = reader.uint8(`${kind} Number of TSs`);
  if (count === 0) {
    throw reader.refusal("badCount", `${kind} Number of TSs`, "is zero");
  }
  reader.uint24(`${kind} RESERVED`); // ignored on receipt, RFC 7296 section 3.13
  const selectors: TrafficSelector[] = [];
  for (let i = 0; i < count; i++) {
    selectors.push(decodeTrafficSelector(reader));
  }
  reader.expectEnd(`${kind} Traffic Selectors`);
  return { kind, selectors };
}

export function encodeTs(writer: ByteWriter, payload: TsPayload): void {
  if (payload.selectors.length === 0) {
    throw new UsageError("badCount", `${payload.kind} needs a traffic selector`);
  }
  writer.uint8(payload.selectors.length);
  writer.zeros(3);
  for (const selector of payload.selectors) {
    encodeTrafficSelector(writer, selector);
  }
}
