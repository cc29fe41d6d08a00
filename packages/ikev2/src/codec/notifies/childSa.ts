import { type MalformedMessage, UsageError } from "../../bytes/errors.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import type { NotifyPayload } from "../message.ts";
import { notifyDataReader } from "./notify.ts";

/** A Child SA as REKEY_SA and CHILD_SA_NOT_FOUND name it. For TCP_AO the SPI is the SendID of the notify's sender. */
export interface ChildSaName {
  readonly protocolId: number;
  readonly spi: Uint8Array;
}

/** REKEY_SA: the Child SA that this CREATE_CHILD_SA replaces, RFC 7296 section 1.3.3. */
export function encodeRekeySa(childSa: ChildSaName): NotifyPayload {
  return encodeName(NotifyType.REKEY_SA, childSa);
}

export function decodeRekeySa(notify: NotifyPayload): ChildSaName {
  return decodeName(notify, NotifyType.REKEY_SA, "RFC 7296 section 1.3.3");
}

/** CHILD_SA_NOT_FOUND: there is no such Child SA here, RFC 7296 section 2.25. */
export function encodeChildSaNotFound(childSa: ChildSaName): NotifyPayload {
  return encodeName(NotifyType.CHILD_SA_NOT_FOUND, childSa);
}

export function decodeChildSaNotFound(notify: NotifyPayload): ChildSaName {
  return decodeName(notify, NotifyType.CHILD_SA_NOT_FOUND, "RFC 7296 section 2.25");
}

function encodeName(notifyType: number, { protocolId, spi }: ChildSaName): NotifyPayload {
  if (spi.length === 0) {
    throw new UsageError("badSpi", "a Child SA is named by its SPI");
  }
  return { kind: "N", protocolId, spi, notifyType, data: new Uint8Array(0) };
}

/** There is no Notification Data; what stands there is ignored, as other notifies' unknown data are. */
function decodeName(notify: NotifyPayload, notifyType: number, section: string): ChildSaName {
  const reader = notifyDataReader(notify, notifyType, section);
  if (notify.spi.length === 0) {
    const fault: MalformedMessage = reader.refusal("badLength", "N SPI", "is empty where a Child SA is to be named");
    throw fault;
  }
  return { protocolId: notify.protocolId, spi: notify.spi };
}
