/**
 * An IKE_SA_INIT request with a cookie is the one without it, sent again (RFC 7296 section 2.6). When a responder that asked
 * for a cookie takes an earlier, repeated copy without one (its load went down meanwhile), or the other way round, or when
 * somebody forged the COOKIE, nothing in the response tells the initiator which copy was taken: its AUTH may be over another
 * one than ours. So either will do, as long as they differ in nothing else.
 */
import { concat, equalBytes } from "../../bytes/bytes.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import { PayloadType } from "../../registry/payloadType.ts";
import type { Handshake } from "../states.ts";

/** Offsets of RFC 7296 sections 3.1, 3.2 and 3.10, for a Notify payload that stands first. */
const NEXT_PAYLOAD = 16;
const LENGTH = 24;
const HEADER_BYTES = 28;
const NOTIFY_LENGTH = HEADER_BYTES + 2;
const NOTIFY_TYPE = HEADER_BYTES + 6;

/**
 * Takes note of another copy of the request that made the half-open IKE SA. Only the newest is kept; one that differs in
 * more than the cookie is not the same request, whatever its SPI and nonce: its AUTH must not stand for what was negotiated.
 */
export function withVariant(handshake: Handshake, datagram: Uint8Array): Handshake {
  const { realMessage1 } = handshake;
  const isVariant =
    !equalBytes(datagram, realMessage1) && equalBytes(withoutCookie(datagram), withoutCookie(realMessage1));
  return isVariant ? { ...handshake, realMessage1Variant: new Uint8Array(datagram) } : handshake;
}

/** The request as it was before the cookie came; the message was decoded before, so its lengths are right. */
function withoutCookie(request: Uint8Array): Uint8Array {
  const view = new DataView(request.buffer, request.byteOffset, request.length);
  const isFirst = request[NEXT_PAYLOAD] === PayloadType.N && view.getUint16(NOTIFY_TYPE) === NotifyType.COOKIE;
  if (!isFirst) return request;
  const cookieBytes = view.getUint16(NOTIFY_LENGTH);
  const header = request.slice(0, HEADER_BYTES);
  header[NEXT_PAYLOAD] = request[HEADER_BYTES] ?? 0;
  new DataView(header.buffer).setUint32(LENGTH, view.getUint32(LENGTH) - cookieBytes);
  return concat(header, request.subarray(HEADER_BYTES + cookieBytes));
}
