import { UsageError } from "../../bytes/errors.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import type { NotifyPayload } from "../message.ts";
import { encodePlainNotify, notifyDataReader } from "./notify.ts";

/** COOKIE: 1 to 64 octets, RFC 7296 section 2.6. */
export function encodeCookie(cookie: Uint8Array): NotifyPayload {
  if (!isCookieLength(cookie.length)) {
    throw new UsageError("badLength", `a cookie has 1 to 64 octets, not ${cookie.length}`);
  }
  return encodePlainNotify(NotifyType.COOKIE, cookie);
}

export function decodeCookie(notify: NotifyPayload): Uint8Array {
  const reader = notifyDataReader(notify, NotifyType.COOKIE, "RFC 7296 section 2.6");
  const cookie = reader.rest("COOKIE");
  if (!isCookieLength(cookie.length)) {
    throw reader.refusal("badLength", "COOKIE", `${cookie.length} octets, not 1 to 64`);
  }
  return cookie;
}

function isCookieLength(length: number): boolean {
  return length >= 1 && length <= 64;
}
