import { assertNever } from "../bytes/assertNever.ts";
import type { ByteReader } from "../bytes/byteReader.ts";
import type { ByteWriter } from "../bytes/byteWriter.ts";
import { UsageError } from "../bytes/errors.ts";
import { PayloadType } from "../registry/payloadType.ts";
import { decodeAuth, encodeAuth } from "./authPayload.ts";
import { decodeCert, encodeCert } from "./certPayload.ts";
import { decodeCertReq, encodeCertReq } from "./certReqPayload.ts";
import { decodeDelete, encodeDelete } from "./deletePayload.ts";
import { decodeId, encodeId } from "./idPayload.ts";
import { decodeKe, encodeKe } from "./kePayload.ts";
import type { Payload } from "./message.ts";
import { decodeNonce, encodeNonce } from "./noncePayload.ts";
import { decodeNotify, encodeNotify } from "./notifyPayload.ts";
import { decodeOpaque, decodeUnknown, decodeVendorId } from "./opaquePayloads.ts";
import { decodeSa, encodeSa } from "./saPayload.ts";
import { decodeTs, encodeTs } from "./tsPayload.ts";

/** The section that describes a payload type. */
export function sectionOf(payloadType: number): string {
  const subsection = subsections.get(payloadType);
  return subsection === undefined ? "RFC 7296 section 3.2" : `RFC 7296 section 3.${subsection}`;
}

const subsections: ReadonlyMap<number, number> = new Map([
  [PayloadType.SA, 3],
  [PayloadType.KE, 4],
  [PayloadType.IDi, 5],
  [PayloadType.IDr, 5],
  [PayloadType.CERT, 6],
  [PayloadType.CERTREQ, 7],
  [PayloadType.AUTH, 8],
  [PayloadType.Nonce, 9],
  [PayloadType.N, 10],
  [PayloadType.D, 11],
  [PayloadType.V, 12],
  [PayloadType.TSi, 13],
  [PayloadType.TSr, 13],
  [PayloadType.SK, 14],
  [PayloadType.CP, 15],
  [PayloadType.EAP, 16],
]);

/** The payload whose body `reader` holds. The critical bit of known types is ignored, RFC 7296 section 3.2. */
export function decodeBody(reader: ByteReader, payloadType: number, critical: boolean): Payload {
  switch (payloadType) {
    case PayloadType.SA:
      return decodeSa(reader);
    case PayloadType.KE:
      return decodeKe(reader);
    case PayloadType.IDi:
      return decodeId(reader, "IDi");
    case PayloadType.IDr:
      return decodeId(reader, "IDr");
    case PayloadType.CERT:
      return decodeCert(reader);
    case PayloadType.CERTREQ:
      return decodeCertReq(reader);
    case PayloadType.AUTH:
      return decodeAuth(reader);
    case PayloadType.Nonce:
      return decodeNonce(reader);
    case PayloadType.N:
      return decodeNotify(reader);
    case PayloadType.D:
      return decodeDelete(reader);
    case PayloadType.V:
      return decodeVendorId(reader);
    case PayloadType.TSi:
      return decodeTs(reader, "TSi");
    case PayloadType.TSr:
      return decodeTs(reader, "TSr");
    case PayloadType.CP:
      return decodeOpaque(reader, "CP");
    case PayloadType.EAP:
      return decodeOpaque(reader, "EAP");
    default:
      return decodeUnknown(reader, payloadType, critical);
  }
}

export function encodeBody(writer: ByteWriter, payload: Payload): void {
  switch (payload.kind) {
    case "SA":
      encodeSa(writer, payload);
      return;
    case "KE":
      encodeKe(writer, payload);
      return;
    case "IDi":
    case "IDr":
      encodeId(writer, payload);
      return;
    case "CERT":
      encodeCert(writer, payload);
      return;
    case "CERTREQ":
      encodeCertReq(writer, payload);
      return;
    case "AUTH":
      encodeAuth(writer, payload);
      return;
    case "Nonce":
      encodeNonce(writer, payload);
      return;
    case "N":
      encodeNotify(writer, payload);
      return;
    case "D":
      encodeDelete(writer, payload);
      return;
    case "TSi":
    case "TSr":
      encodeTs(writer, payload);
      return;
    case "V":
    case "CP":
    case "EAP":
      writer.bytes(payload.data);
      return;
    case "Unknown":
      requireUnknown(payload.payloadType);
      writer.bytes(payload.data);
      return;
    default:
      assertNever(payload);
  }
}

/** No known payload in disguise, and none that must end the chain: it would not decode to what was encoded. */
function requireUnknown(payloadType: number): void {
  if (payloadType === PayloadType.NONE || payloadType === PayloadType.SKF || subsections.has(payloadType)) {
    throw new UsageError("badPayloadType", `payload type ${payloadType} is not an unknown one`);
  }
}

/** The payload type number under which a payload travels. */
export function payloadTypeOf(payload: Payload): number {
  return payload.kind === "Unknown" ? payload.payloadType : PayloadType[payload.kind];
}
