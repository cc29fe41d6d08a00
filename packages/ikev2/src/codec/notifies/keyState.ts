import { concat } from "../../bytes/bytes.ts";
import { UsageError } from "../../bytes/errors.ts";
import { utf8Decode, utf8Encode } from "../../bytes/utf8.ts";
import { NotifyType } from "../../registry/notifyType.ts";
import { SecurityProtocolId } from "../../registry/securityProtocolId.ts";
import type { NotifyPayload } from "../message.ts";
import { notifyDataReader } from "./notify.ts";

/*
 *                      1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Protocol 201  |  SPI Size 1   |      KMP_KEY_STATE 48643      |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |    SendID     |     State     |  Reason, UTF-8, 0-64 octets   ~
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

const MAXIMUM_REASON_BYTES = 64;
const SECTION = "karp private use: KMP_KEY_STATE";

/** What one end says of an MKT that both hold. */
export interface KeyStateReport {
  /** The SendID of who says it: the receiver's RecvID. */
  readonly sendId: number;
  /** A KeyState; unknown ones are to be ignored. */
  readonly state: number;
  /** As the peer wrote it: escape it before showing it. */
  readonly reason: string;
}

/** A reason longer than 64 octets is cut at a character. */
export function encodeKeyState(report: KeyStateReport): NotifyPayload {
  if (!isOctet(report.sendId) || !isOctet(report.state)) {
    throw new UsageError("outOfRange", "SendID and state are octets");
  }
  return {
    kind: "N",
    protocolId: SecurityProtocolId.TCP_AO,
    spi: Uint8Array.of(report.sendId),
    notifyType: NotifyType.KMP_KEY_STATE,
    data: concat(Uint8Array.of(report.state), encodeReason(report.reason)),
  };
}

/** Throws MalformedMessage: no SendID, another protocol, no state, a reason that is too long or not UTF-8. */
export function decodeKeyState(notify: NotifyPayload): KeyStateReport {
  const reader = notifyDataReader(notify, NotifyType.KMP_KEY_STATE, SECTION);
  const sendId = notify.spi[0];
  if (notify.protocolId !== SecurityProtocolId.TCP_AO || notify.spi.length !== 1 || sendId === undefined) {
    throw reader.refusal("badValue", "N SPI", "is not the one octet of a TCP_AO KeyID");
  }
  const state = reader.uint8("KMP_KEY_STATE State");
  const octets = reader.rest("KMP_KEY_STATE Reason");
  if (octets.length > MAXIMUM_REASON_BYTES) {
    throw reader.refusal("badLength", "KMP_KEY_STATE Reason", `${octets.length} octets, not 0 to 64`);
  }
  const reason = utf8Decode(octets);
  if (reason === undefined) {
    throw reader.refusal("badValue", "KMP_KEY_STATE Reason", "is not UTF-8");
  }
  return { sendId, state, reason };
}

function encodeReason(reason: string): Uint8Array {
  const octets = utf8Encode(reason.slice(0, MAXIMUM_REASON_BYTES));
  let end = Math.min(octets.length, MAXIMUM_REASON_BYTES);
  while (end < octets.length && ((octets[end] ?? 0) & 0xc0) === 0x80) {
    end--;
  }
  return octets.subarray(0, end);
}

function isOctet(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 255;
}
