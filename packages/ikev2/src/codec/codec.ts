import { ByteReader } from "../bytes/byteReader.ts";
import { ByteWriter } from "../bytes/byteWriter.ts";
import { PeerIncompatible } from "../bytes/errors.ts";
import { NotifyType } from "../registry/notifyType.ts";
import { PayloadType } from "../registry/payloadType.ts";
import { GENERIC_HEADER_BYTES, writeGenericHeader } from "./genericHeader.ts";
import {
  decodeHeader,
  IKE_HEADER_BYTES,
  NEXT_PAYLOAD_OFFSET,
  requireConsistent,
  requireVersion,
  writeHeader,
} from "./header.ts";
import type { IkeHeader, Message, Payload } from "./message.ts";
import { payloadTypeOf } from "./payloadBody.ts";
import { decodeChain, encodeChain } from "./payloadChain.ts";

/**
 * Decodes one datagram (without the non-ESP marker). All octets in the result are views of `datagram`.
 * Throws MalformedMessage, or PeerIncompatible for a major version other than 2. Unknown payloads are kept: see
 * refuseUnknownCritical.
 */
export function decodeMessage(datagram: Uint8Array): Message {
  // A plain view: what Node's sockets deliver is a subclass with other semantics.
  const bytes = new Uint8Array(datagram.buffer, datagram.byteOffset, datagram.length);
  const decoded = decodeHeader(bytes);
  requireVersion(decoded.header);
  const reader = new ByteReader(bytes, "RFC 7296 section 3.1");
  requireConsistent(decoded, bytes.length, reader);
  // Following the header are one or more payloads, RFC 7296 section 3.1
  if (decoded.nextPayload === PayloadType.NONE) {
    throw reader.refusal("badValue", "HDR Next Payload", "there is no payload", NEXT_PAYLOAD_OFFSET);
  }
  const rest = new ByteReader(bytes.subarray(IKE_HEADER_BYTES), "RFC 7296 section 3.2", IKE_HEADER_BYTES);
  const { payloads, encrypted } = decodeChain(decoded.nextPayload, rest);
  if (encrypted === undefined) {
    return { header: decoded.header, payloads };
  }
  const associatedData = bytes.subarray(0, encrypted.bodyOffset);
  return {
    header: decoded.header,
    payloads,
    encrypted: { firstPayload: encrypted.firstPayload, associatedData, body: encrypted.body },
  };
}

/**
 * Decodes the payloads inside of an Encrypted payload, padding removed. `baseOffset` is what offsets in errors count
 * from. Throws MalformedMessage.
 */
export function decodePayloads(firstPayload: number, bytes: Uint8Array, baseOffset = 0): readonly Payload[] {
  const reader = new ByteReader(bytes, "RFC 7296 section 3.2", baseOffset);
  const { payloads, encrypted } = decodeChain(firstPayload, reader);
  // An Encrypted payload MUST NOT contain another one, RFC 7296 section 3.1
  if (encrypted !== undefined) {
    const offset = encrypted.bodyOffset - GENERIC_HEADER_BYTES;
    throw reader.refusal("badValue", "SK", "inside of an Encrypted payload", offset);
  }
  return payloads;
}

/** The payloads in a row; `firstPayload` is 0 when there are none. Throws UsageError for what could not be decoded. */
export function encodePayloads(payloads: readonly Payload[]): {
  readonly firstPayload: number;
  readonly bytes: Uint8Array;
} {
  const writer = new ByteWriter();
  encodeChain(writer, payloads);
  return { firstPayload: firstTypeOf(payloads), bytes: writer.finish() };
}

/** A whole message without an Encrypted payload. */
export function encodeMessage(header: IkeHeader, payloads: readonly Payload[]): Uint8Array {
  const writer = new ByteWriter();
  writeHeader(writer, header, firstTypeOf(payloads), 0);
  encodeChain(writer, payloads);
  writer.patchUint32(IKE_HEADER_BYTES - 4, writer.length);
  return writer.finish();
}

/**
 * The beginning of a message that has only an Encrypted payload: IKE header and SK generic header, lengths filled in for
 * a body (IV | ciphertext | ICV) of `bodyLength` octets. This is the AEAD associated data (RFC 5282 section 5.1).
 */
export function encodeEncryptedPrefix(header: IkeHeader, firstPayload: number, bodyLength: number): Uint8Array {
  const writer = new ByteWriter(IKE_HEADER_BYTES + GENERIC_HEADER_BYTES);
  writeHeader(writer, header, PayloadType.SK, IKE_HEADER_BYTES + GENERIC_HEADER_BYTES + bodyLength);
  writeGenericHeader(writer, firstPayload, GENERIC_HEADER_BYTES + bodyLength);
  return writer.finish();
}

/**
 * A payload that we do not understand and whose critical bit is set MUST make us reject the message with
 * UNSUPPORTED_CRITICAL_PAYLOAD and the type octet as data: RFC 7296 section 2.5. Throws PeerIncompatible.
 */
export function refuseUnknownCritical(payloads: readonly Payload[]): void {
  for (const payload of payloads) {
    if (payload.kind === "Unknown" && payload.critical) {
      throw new PeerIncompatible({
        code: "unsupportedCriticalPayload",
        section: "RFC 7296 section 2.5",
        detail: `payload type ${payload.payloadType} is critical and not known here`,
        notifyType: NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD,
        notifyData: Uint8Array.of(payload.payloadType),
      });
    }
  }
}

function firstTypeOf(payloads: readonly Payload[]): number {
  const first = payloads[0];
  return first === undefined ? PayloadType.NONE : payloadTypeOf(first);
}
