import { ByteWriter } from "../../bytes/byteWriter.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import type { NotifyPayload } from "../message.ts";
import { encodePlainNotify, notifyDataReader } from "./notify.ts";

/** Lifetimes that the sender keeps to: a hint, nothing is negotiated. */
export interface KeyLifetime {
  readonly softSeconds: number;
  readonly hardSeconds: number;
}

/** Octets of its Notification Data. */
export const KEY_LIFETIME_BYTES = 8;

/** KMP_KEY_LIFETIME 48642: soft, then hard lifetime, 4 octets of seconds each. */
export function encodeKeyLifetime(lifetime: KeyLifetime): NotifyPayload {
  const writer = new ByteWriter(KEY_LIFETIME_BYTES);
  writer.uint32(lifetime.softSeconds);
  writer.uint32(lifetime.hardSeconds);
  return encodePlainNotify(NotifyType.KMP_KEY_LIFETIME, writer.finish());
}

export function decodeKeyLifetime(notify: NotifyPayload): KeyLifetime {
  const reader = notifyDataReader(notify, NotifyType.KMP_KEY_LIFETIME, "karp private use: KMP_KEY_LIFETIME");
  const softSeconds = reader.uint32("KMP_KEY_LIFETIME soft");
  const hardSeconds = reader.uint32("KMP_KEY_LIFETIME hard");
  reader.expectEnd("KMP_KEY_LIFETIME");
  return { softSeconds, hardSeconds };
}
