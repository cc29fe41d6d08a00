import { ByteReader } from "../../bytes/byteReader.ts";
import { type ProtocolFault, UsageError } from "../../bytes/errors.ts";
import { nameOf } from "../../registry/nameOf.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import type { NotifyPayload } from "../message.ts";

const nothing = new Uint8Array(0);

/** A notify that names no SA. With an empty SPI, Protocol ID MUST be zero (RFC 7296 section 3.10). */
export function encodePlainNotify(notifyType: number, data: Uint8Array = nothing): NotifyPayload {
  return { kind: "N", protocolId: 0, spi: nothing, notifyType, data };
}

/** The notify that answers a fault, or undefined for one that is not answered. */
export function encodeFaultNotify(fault: ProtocolFault): NotifyPayload | undefined {
  return fault.notifyType === undefined ? undefined : encodePlainNotify(fault.notifyType, fault.notifyData);
}

/** A reader of the Notification Data; throws UsageError when `notify` is of another type. */
export function notifyDataReader(notify: NotifyPayload, notifyType: number, section: string): ByteReader {
  if (notify.notifyType !== notifyType) {
    throw new UsageError(
      "wrongNotify",
      `${nameOf(NotifyType, notify.notifyType)} is not ${nameOf(NotifyType, notifyType)}`,
    );
  }
  return new ByteReader(notify.data, section);
}
