import { LinuxTcpAoError } from "./errors.ts";

/** struct nlmsghdr: length:u32 type:u16 flags:u16 sequence:u32 port:u32. */
export const NETLINK_HEADER_BYTES = 16;
const ALIGNMENT = 4;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
/** In an answer: the table changed while it was being dumped. */
export const NLM_F_DUMP_INTR = 0x10;
/** NLM_F_ROOT and NLM_F_MATCH. */
export const NLM_F_DUMP = 0x300;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** One message with its header. The kernel fills in our port. */
export function encodeMessage({ type, flags, sequence, payload }: NetlinkMessage): Uint8Array {
  const bytes = new Uint8Array(NETLINK_HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, sequence, true);
  bytes.set(payload, NETLINK_HEADER_BYTES);
  return bytes;
}

/**
 * The messages of one datagram. Payloads are views into `bytes`.
 * @throws LinuxTcpAoError `malformedAnswer` when a length does not fit
 */
export function decodeMessages(bytes: Uint8Array): readonly NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    if (bytes.length - offset < NETLINK_HEADER_BYTES) throw malformed("a message header is cut off");
    const view = new DataView(bytes.buffer, bytes.byteOffset + offset, bytes.length - offset);
    const length = view.getUint32(0, true);
    if (length < NETLINK_HEADER_BYTES || length > bytes.length - offset) {
      throw malformed(`a message says that it has ${length} octets`);
    }
    messages.push({
      type: view.getUint16(4, true),
      flags: view.getUint16(6, true),
      sequence: view.getUint32(8, true),
      payload: bytes.subarray(offset + NETLINK_HEADER_BYTES, offset + length),
    });
    offset += aligned(length);
  }
  return messages;
}

/**
 * The error number of an NLMSG_ERROR (positive; 0 acknowledges) or of the NLMSG_DONE that ends a dump.
 * @throws LinuxTcpAoError `malformedAnswer`
 */
export function decodeErrno({ type, payload }: NetlinkMessage): number {
  if (payload.length < 4) {
    // NLMSG_DONE of old kernels says nothing
    if (type === NLMSG_DONE && payload.length === 0) return 0;
    throw malformed("an error without its number");
  }
  const errno = new DataView(payload.buffer, payload.byteOffset, payload.length).getInt32(0, true);
  if (errno > 0 && type === NLMSG_ERROR) throw malformed(`error number ${errno} has the wrong sign`);
  return errno < 0 ? -errno : 0;
}

/**
 * struct nlattr: length:u16 type:u16, then the value, padded to four octets.
 * @returns the value of each attribute by its type
 * @throws LinuxTcpAoError `malformedAnswer`
 */
export function decodeAttributes(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  let offset = 0;
  while (offset < bytes.length) {
    if (bytes.length - offset < 4) throw malformed("an attribute's header is cut off");
    const view = new DataView(bytes.buffer, bytes.byteOffset + offset, bytes.length - offset);
    const length = view.getUint16(0, true);
    if (length < 4 || length > bytes.length - offset) {
      throw malformed(`an attribute says that it has ${length} octets`);
    }
    // The two highest bits are flags
    attributes.set(view.getUint16(2, true) & 0x3fff, bytes.subarray(offset + 4, offset + length));
    offset += aligned(length);
  }
  return attributes;
}

function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

export function malformed(what: string): LinuxTcpAoError {
  const advice = `the kernel's answer cannot be read (${what}); report it with the kernel's version`;
  return new LinuxTcpAoError("socket diagnostics", { code: "malformedAnswer", advice });
}
