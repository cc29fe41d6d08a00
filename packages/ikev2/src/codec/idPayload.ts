import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { UsageError } from "../bytes/errors.ts";
import { IdType } from "../registry/idType.ts";
import type { IdPayload } from "./message.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Next Payload  |C|  RESERVED   |         Payload Length        |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |   ID Type     |                 RESERVED                      |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                                                               |
 * ~                   Identification Data                         ~
 * |                                                               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Identification payload, RFC 7296 section 3.5. RESERVED is ignored here, but it is part of what AUTH signs as sent. */
export function decodeId(reader: ByteReader, kind: IdPayload["kind"]): IdPayload {
  const idType = reader.uint8(`${kind} ID Type`);
  reader.uint24(`${kind} RESERVED`);
  const data = reader.rest(`${kind} Identification Data`);
  const fault = dataFault(idType, data);
  if (fault !== undefined) {
    throw reader.refusal(fault.code, `${kind} Identification Data`, fault.detail);
  }
  return { kind, idType, data };
}

export function encodeId(writer: ByteWriter, payload: IdPayload): void {
  const fault = dataFault(payload.idType, payload.data);
  if (fault !== undefined) {
    throw new UsageError("badIdentity", fault.detail);
  }
  writer.uint8(payload.idType);
  writer.zeros(3);
  writer.bytes(payload.data);
}

function dataFault(
  idType: number,
  data: Uint8Array,
): { readonly code: "badLength" | "badValue"; readonly detail: string } | undefined {
  switch (idType) {
    case IdType.ID_IPV4_ADDR:
      return data.length === 4 ? undefined : { code: "badLength", detail: `${data.length} octets for an IPv4 address` };
    case IdType.ID_IPV6_ADDR:
      return data.length === 16
        ? undefined
        : { code: "badLength", detail: `${data.length} octets for an IPv6 address` };
    case IdType.ID_FQDN:
    case IdType.ID_RFC822_ADDR:
      // The string MUST NOT contain any terminators, RFC 7296 section 3.5
      return data.some((octet) => octet < 0x20 || octet === 0x7f)
        ? { code: "badValue", detail: "a control character in a name" }
        : undefined;
    default:
      return undefined;
  }
}
