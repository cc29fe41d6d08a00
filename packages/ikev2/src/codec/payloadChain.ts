import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { PayloadType } from "../registry/payloadType.ts";
import { decodeGenericHeader, type GenericHeader, writeGenericHeader } from "./genericHeader.ts";
import type { Payload } from "./message.ts";
import { decodeBody, encodeBody, payloadTypeOf, sectionOf } from "./payloadBody.ts";

/** Payloads of one message that are looked at, outside and inside of the Encrypted payload each. */
export const MAXIMUM_PAYLOADS = 100;

export interface PayloadChain {
  readonly payloads: readonly Payload[];
  /** The Encrypted payload at the end, still closed; `bodyOffset` counts from the beginning of the message. */
  readonly encrypted?: { readonly firstPayload: number; readonly bodyOffset: number; readonly body: Uint8Array };
}

/** Follows the Next Payload fields to the end of the octets, RFC 7296 section 3.2. */
export function decodeChain(firstPayload: number, reader: ByteReader): PayloadChain {
  const payloads: Payload[] = [];
  let payloadType = firstPayload;
  while (payloadType !== PayloadType.NONE) {
    const offset = reader.offset;
    if (payloads.length === MAXIMUM_PAYLOADS) {
      throw reader.refusal("tooMany", "Next Payload", `more than ${MAXIMUM_PAYLOADS} payloads`, offset);
    }
    const generic = decodeGenericHeader(reader);
    const body = reader.sub(generic.bodyLength, "payload", sectionOf(payloadType));
    if (payloadType === PayloadType.SK) {
      return { payloads, encrypted: closeWithEncrypted(reader, generic, body) };
    }
    payloads.push(decodeBody(body, payloadType, generic.critical));
    // As in SK, Next Payload of an Encrypted Fragment is the type of what is inside (RFC 7383 section 2.5).
    payloadType = payloadType === PayloadType.SKF ? PayloadType.NONE : generic.nextPayload;
  }
  reader.expectEnd("payloads");
  return { payloads };
}

/** Writes the payloads one after the other, the last one with Next Payload 0. */
export function encodeChain(writer: ByteWriter, payloads: readonly Payload[]): void {
  payloads.forEach((payload, index) => {
    const start = writer.length;
    const next = payloads[index + 1];
    const critical = payload.kind === "Unknown" && payload.critical;
    writeGenericHeader(writer, next === undefined ? PayloadType.NONE : payloadTypeOf(next), 0, critical);
    encodeBody(writer, payload);
    writer.patchUint16(start + 2, writer.length - start);
  });
}

/** An Encrypted payload MUST be the last one of its message, RFC 7296 section 3.14. */
function closeWithEncrypted(
  reader: ByteReader,
  generic: GenericHeader,
  body: ByteReader,
): { readonly firstPayload: number; readonly bodyOffset: number; readonly body: Uint8Array } {
  reader.expectEnd("SK");
  const bodyOffset = body.offset;
  return { firstPayload: generic.nextPayload, bodyOffset, body: body.rest("SK") };
}
