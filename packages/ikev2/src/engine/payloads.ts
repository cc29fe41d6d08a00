/** Finding payloads in a message. */
import type { NotifyPayload, Payload } from "../codec/message.ts";

/** Notify Message Types below are errors, RFC 7296 section 3.10.1. */
const FIRST_STATUS_TYPE = 16384;

/** The payload type with this kind; some types have two. */
type PayloadOf<K extends Payload["kind"], P extends Payload = Payload> = P extends unknown
  ? K extends P["kind"]
    ? P
    : never
  : never;

export function payloadOf<K extends Payload["kind"]>(payloads: readonly Payload[], kind: K): PayloadOf<K> | undefined {
  return payloads.find((payload): payload is PayloadOf<K> => payload.kind === kind);
}

export function payloadsOf<K extends Payload["kind"]>(payloads: readonly Payload[], kind: K): readonly PayloadOf<K>[] {
  return payloads.filter((payload): payload is PayloadOf<K> => payload.kind === kind);
}

export function notifyOf(payloads: readonly Payload[], notifyType: number): NotifyPayload | undefined {
  return payloadsOf(payloads, "N").find((notify) => notify.notifyType === notifyType);
}

/** RFC 7296 section 3.10.1: an error type in a response, known or not, means that the request failed. */
export function errorNotifyOf(payloads: readonly Payload[]): NotifyPayload | undefined {
  return payloadsOf(payloads, "N").find((notify) => notify.notifyType < FIRST_STATUS_TYPE);
}
