import { ByteWriter } from "../../bytes/byteWriter.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import type { NotifyPayload } from "../message.ts";
import { encodePlainNotify, notifyDataReader } from "./notify.ts";

/** INVALID_KE_PAYLOAD: the Key Exchange Method that the responder wants, RFC 7296 section 1.3. */
export function encodeInvalidKePayload(keyExchangeMethod: number): NotifyPayload {
  const writer = new ByteWriter(2);
  writer.uint16(keyExchangeMethod);
  return encodePlainNotify(NotifyType.INVALID_KE_PAYLOAD, writer.finish());
}

export function decodeInvalidKePayload(notify: NotifyPayload): number {
  const reader = notifyDataReader(notify, NotifyType.INVALID_KE_PAYLOAD, "RFC 7296 section 1.3");
  const method = reader.uint16("INVALID_KE_PAYLOAD Key Exchange Method");
  reader.expectEnd("INVALID_KE_PAYLOAD");
  return method;
}
