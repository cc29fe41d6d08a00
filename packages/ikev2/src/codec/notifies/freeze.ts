import { ByteWriter } from "../../bytes/byteWriter.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import type { NotifyPayload } from "../message.ts";
import { encodePlainNotify, notifyDataReader } from "./notify.ts";

/** KMP_FREEZE 48646: "no rollover from my side for so many seconds"; 0 ends a freeze. */
export function encodeFreeze(seconds: number): NotifyPayload {
  const writer = new ByteWriter(4);
  writer.uint32(seconds);
  return encodePlainNotify(NotifyType.KMP_FREEZE, writer.finish());
}

export function decodeFreeze(notify: NotifyPayload): number {
  const reader = notifyDataReader(notify, NotifyType.KMP_FREEZE, "karp private use: KMP_FREEZE");
  const seconds = reader.uint32("KMP_FREEZE seconds");
  reader.expectEnd("KMP_FREEZE");
  return seconds;
}
