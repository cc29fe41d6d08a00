import { KEEPALIVE } from "./segments.ts";

/** What crosses the kernel's TCP session: the messages of RFC 4271 section 4 that it needs. */
export type BgpMessage =
  | { readonly kind: "open"; readonly identifier: number }
  | { readonly kind: "keepalive" }
  /** The sender closes the connection on purpose. */
  | { readonly kind: "cease" };

const HEADER_BYTES = 19;
const OPEN_BYTES = 29;
const NOTIFICATION_BYTES = 21;
const TYPE = { open: 1, notification: 3, keepalive: 4 } as const;
const LENGTHS: ReadonlyMap<number, number> = new Map([
  [TYPE.open, OPEN_BYTES],
  [TYPE.notification, NOTIFICATION_BYTES],
  [TYPE.keepalive, HEADER_BYTES],
]);
/** RFC 4271 section 6.7; the subcode is Administrative Shutdown of RFC 4486. */
const CEASE = 6;
const ADMINISTRATIVE_SHUTDOWN = 2;
const IDENTIFIER_AT = 24;
/** AS_TRANS, RFC 6793: no AS is meant. */
const AS_TRANS = 23_456;

export function encodeMessage(message: BgpMessage): Uint8Array {
  switch (message.kind) {
    case "open": {
      const bytes = header(OPEN_BYTES, TYPE.open);
      const view = new DataView(bytes.buffer);
      view.setUint8(19, 4); // Version
      view.setUint16(20, AS_TRANS); // My Autonomous System; Hold Time and Optional Parameters stay zero
      view.setUint32(IDENTIFIER_AT, message.identifier);
      return bytes;
    }
    case "keepalive":
      return KEEPALIVE;
    case "cease": {
      const bytes = header(NOTIFICATION_BYTES, TYPE.notification);
      bytes.set([CEASE, ADMINISTRATIVE_SHUTDOWN], HEADER_BYTES);
      return bytes;
    }
  }
}

/** Cuts a stream of octets into messages. */
export class MessageReader {
  #rest: Uint8Array = new Uint8Array();

  /** The messages that are complete now; undefined when the octets are none of ours: the connection is of no use then. */
  read(octets: Uint8Array): readonly BgpMessage[] | undefined {
    let rest = Uint8Array.from([...this.#rest, ...octets]);
    const messages: BgpMessage[] = [];
    while (rest.length >= HEADER_BYTES) {
      const length = messageLength(rest);
      if (length === undefined) return undefined;
      if (rest.length < length) break;
      const message = decode(rest.subarray(0, length));
      if (message === undefined) return undefined;
      messages.push(message);
      rest = rest.slice(length);
    }
    this.#rest = rest;
    return messages;
  }
}

function header(length: number, type: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(0xff, 0, 16);
  new DataView(bytes.buffer).setUint16(16, length);
  bytes[18] = type;
  return bytes;
}

/** Undefined: no Marker, or not the length of a message that is known here. */
function messageLength(bytes: Uint8Array): number | undefined {
  // "This 16-octet field ... MUST be set to all ones", RFC 4271 section 4.1
  if (!bytes.subarray(0, 16).every((octet) => octet === 0xff)) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint16(16);
  const expected = LENGTHS.get(bytes[18] ?? 0);
  return expected === length ? length : undefined;
}

function decode(bytes: Uint8Array): BgpMessage | undefined {
  switch (bytes[18]) {
    case TYPE.open:
      return { kind: "open", identifier: new DataView(bytes.buffer, bytes.byteOffset).getUint32(IDENTIFIER_AT) };
    case TYPE.keepalive:
      return { kind: "keepalive" };
    case TYPE.notification:
      return bytes[HEADER_BYTES] === CEASE ? { kind: "cease" } : undefined;
    default:
      return undefined;
  }
}
