import { UsageError } from "../../bytes/errors.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import type { NotifyPayload } from "../message.ts";
import { encodePlainNotify, notifyDataReader } from "./notify.ts";

/*
 * Notification Data of KMP_KEYIDS_TAKEN 48645 and KEYID_IN_USE 8960: 32 octets, one bit for each KeyID. KeyID n is bit
 * (n & 7), counted from the least significant, of octet n >> 3.
 */

const BITMAP_BYTES = 32;

/** KMP_KEYIDS_TAKEN: RecvIDs that the sender cannot use for the MKT to be made. */
export function encodeKeyIdsTaken(bitmap: Uint8Array): NotifyPayload {
  return encodePlainNotify(NotifyType.KMP_KEYIDS_TAKEN, requireBitmap(bitmap));
}

export function decodeKeyIdsTaken(notify: NotifyPayload): Uint8Array {
  return decodeBitmap(notify, NotifyType.KMP_KEYIDS_TAKEN, "KMP_KEYIDS_TAKEN");
}

/** KEYID_IN_USE (error): the SPI proposed is one of these. */
export function encodeKeyIdInUse(bitmap: Uint8Array): NotifyPayload {
  return encodePlainNotify(NotifyType.KEYID_IN_USE, requireBitmap(bitmap));
}

export function decodeKeyIdInUse(notify: NotifyPayload): Uint8Array {
  return decodeBitmap(notify, NotifyType.KEYID_IN_USE, "KEYID_IN_USE");
}

function decodeBitmap(notify: NotifyPayload, notifyType: number, name: string): Uint8Array {
  const reader = notifyDataReader(notify, notifyType, `karp private use: ${name}`);
  const bitmap = reader.bytes(BITMAP_BYTES, `${name} bitmap`);
  reader.expectEnd(`${name} bitmap`);
  return bitmap;
}

function requireBitmap(bitmap: Uint8Array): Uint8Array {
  if (bitmap.length !== BITMAP_BYTES) {
    throw new UsageError("badLength", `a KeyID bitmap has ${BITMAP_BYTES} octets, not ${bitmap.length}`);
  }
  return bitmap;
}
