import { type MacAlgorithm, macAlgorithms } from "../src/index.ts";
import { decodeSockaddr, SOCKADDR_STORAGE_BYTES, writeSockaddr } from "./sockaddr.ts";

/** sizeof(struct tcp_ao_add), _del, _info_opt, _getsockopt in linux/tcp.h; little-endian machines only. */
export const TCP_AO_ADD_BYTES = 288;
export const TCP_AO_DEL_BYTES = 144;
export const TCP_AO_INFO_BYTES = 48;
export const TCP_AO_GET_BYTES = 304;
/** TCP_AO_MAXKEYLEN. */
export const MAXIMUM_KEY_BYTES = 80;

/** TCP_AO_KEYF_IFINDEX and TCP_AO_KEYF_EXCLUDE_OPT. */
export const KEYF_IFINDEX = 1;
export const KEYF_EXCLUDE_OPT = 2;

const ALGORITHM_NAME_BYTES = 64;

/** The kernel's names of the MAC algorithms. */
export const kernelAlgorithmNames: Readonly<Record<MacAlgorithm, string>> = {
  "hmac-sha-1-96": "hmac(sha1)",
  "aes-128-cmac-96": "cmac(aes128)",
  "hmac-sha-256-128": "hmac(sha256)",
};

/** By what the kernel knows a key of a socket: the peer's prefix and both IDs, never a port. */
export interface KernelKeyName {
  /** An IPv4 or IPv6 address in text; on a dual-stack socket an IPv4 peer is "10.0.0.2" as well. */
  readonly peer: string;
  /** Bits of the address that must match. Default: all. */
  readonly prefixLength?: number;
  readonly sendId: number;
  readonly recvId: number;
  /**
   * Index of the VRF device that the key is for. Default: any. The kernel takes one that is not the socket's own, and
   * then it guards nothing.
   */
  readonly ifindex?: number;
}

/** What struct tcp_ao_add takes. */
export interface KernelMkt extends KernelKeyName {
  readonly algorithm: MacAlgorithm;
  /** 1 to 80 octets. */
  readonly masterKey: Uint8Array;
  /** Default: true. */
  readonly coversTcpOptions?: boolean;
  /** Truncation of the MAC. Default: the algorithm's. */
  readonly macLengthBytes?: number;
  /** Make it current_key or rnext_key at once; not on a listener. */
  readonly setsCurrent?: boolean;
  readonly setsRnext?: boolean;
}

/** What struct tcp_ao_del takes. */
export interface KernelKeyDeletion extends KernelKeyName {
  /** SendID of the key that becomes current_key. */
  readonly newCurrent?: number;
  /** RecvID of the key that becomes rnext_key. */
  readonly newRnext?: number;
}

/** struct tcp_ao_info_opt as it is read. */
export interface KernelTcpAoInfo {
  /** SendID of current_key; absent on listeners and before the connection is opened. */
  readonly currentKey?: number;
  /** RecvID of rnext_key. */
  readonly rnextKey?: number;
  /** Segments without TCP-AO are refused even where no key matches. */
  readonly isRequired: boolean;
  readonly acceptsIcmps: boolean;
  readonly counters: {
    readonly good: bigint;
    readonly bad: bigint;
    readonly keyNotFound: bigint;
    readonly required: bigint;
    readonly droppedIcmps: bigint;
  };
}

/** What struct tcp_ao_info_opt sets; the two flags are always written. */
export interface KernelTcpAoInfoChange {
  readonly currentKey?: number;
  readonly rnextKey?: number;
  readonly isRequired: boolean;
  readonly acceptsIcmps: boolean;
}

/** struct tcp_ao_getsockopt as it is read, without the key. */
export interface KernelKeyStatus extends Required<Omit<KernelKeyName, "ifindex">> {
  readonly ifindex?: number;
  /** Absent when the kernel uses one that is not known here. */
  readonly algorithm?: MacAlgorithm;
  readonly algorithmName: string;
  readonly macLengthBytes: number;
  readonly keyLengthBytes: number;
  readonly coversTcpOptions: boolean;
  readonly isCurrent: boolean;
  readonly isRnext: boolean;
  readonly good: bigint;
  readonly bad: bigint;
}

/**
 * struct tcp_ao_add: addr[128] alg_name[64] ifindex:s32 flags:u32 reserved2:u16
 * prefix sndid rcvid maclen keyflags keylen key[80]
 * @param domain the socket's address family
 */
export function encodeAdd(key: KernelMkt, domain: "ipv4" | "ipv6"): Uint8Array {
  const bytes = new Uint8Array(TCP_AO_ADD_BYTES);
  const view = new DataView(bytes.buffer);
  const prefixLength = writePeer(bytes, key, domain);
  bytes.set(new TextEncoder().encode(kernelAlgorithmNames[key.algorithm]), SOCKADDR_STORAGE_BYTES);
  view.setInt32(192, key.ifindex ?? 0, true);
  view.setUint32(196, bit(key.setsCurrent, 0) | bit(key.setsRnext, 1), true);
  bytes[202] = prefixLength;
  bytes[203] = key.sendId;
  bytes[204] = key.recvId;
  // The kernel's default is 12 for every algorithm
  bytes[205] = key.macLengthBytes ?? macAlgorithms[key.algorithm].macLengthBytes;
  bytes[206] = bit(key.ifindex !== undefined, 0) | bit(key.coversTcpOptions === false, 1);
  bytes[207] = key.masterKey.length;
  bytes.set(key.masterKey, 208);
  return bytes;
}

/** struct tcp_ao_del: addr[128] ifindex:s32 flags:u32 reserved2:u16 prefix sndid rcvid current_key rnext keyflags */
export function encodeDelete(key: KernelKeyDeletion, domain: "ipv4" | "ipv6"): Uint8Array {
  const bytes = new Uint8Array(TCP_AO_DEL_BYTES);
  const view = new DataView(bytes.buffer);
  const prefixLength = writePeer(bytes, key, domain);
  view.setInt32(128, key.ifindex ?? 0, true);
  view.setUint32(132, bit(key.newCurrent !== undefined, 0) | bit(key.newRnext !== undefined, 1), true);
  bytes[138] = prefixLength;
  bytes[139] = key.sendId;
  bytes[140] = key.recvId;
  bytes[141] = key.newCurrent ?? 0;
  bytes[142] = key.newRnext ?? 0;
  bytes[143] = bit(key.ifindex !== undefined, 0);
  return bytes;
}

/** struct tcp_ao_info_opt: flags:u32 reserved2:u16 current_key rnext, then five counters of 64 bits */
export function encodeInfo(change: KernelTcpAoInfoChange): Uint8Array {
  const bytes = new Uint8Array(TCP_AO_INFO_BYTES);
  const flags =
    bit(change.currentKey !== undefined, 0) |
    bit(change.rnextKey !== undefined, 1) |
    bit(change.isRequired, 2) |
    bit(change.acceptsIcmps, 4);
  new DataView(bytes.buffer).setUint32(0, flags, true);
  bytes[6] = change.currentKey ?? 0;
  bytes[7] = change.rnextKey ?? 0;
  return bytes;
}

export function decodeInfo(bytes: Uint8Array): KernelTcpAoInfo {
  const view = viewOf(bytes);
  const flags = view.getUint32(0, true);
  return {
    ...(hasBit(flags, 0) && { currentKey: view.getUint8(6) }),
    ...(hasBit(flags, 1) && { rnextKey: view.getUint8(7) }),
    isRequired: hasBit(flags, 2),
    acceptsIcmps: hasBit(flags, 4),
    counters: {
      good: view.getBigUint64(8, true),
      bad: view.getBigUint64(16, true),
      keyNotFound: view.getBigUint64(24, true),
      required: view.getBigUint64(32, true),
      droppedIcmps: view.getBigUint64(40, true),
    },
  };
}

/** Room for `capacity` keys; the first element asks for all keys. */
export function encodeGetAll(capacity: number): Uint8Array {
  const bytes = new Uint8Array(TCP_AO_GET_BYTES * capacity);
  const view = new DataView(bytes.buffer);
  view.setUint32(272, capacity, true);
  view.setUint16(276, 1 << 2, true);
  return bytes;
}

/** How many keys the socket has, as the kernel left it in the first element. */
export function decodeKeyCount(bytes: Uint8Array): number {
  return viewOf(bytes).getUint32(272, true);
}

/**
 * struct tcp_ao_getsockopt: addr[128] alg_name[64] key[80] nkeys:u32 flags:u16
 * sndid rcvid prefix maclen keyflags keylen ifindex:s32 pkt_good:u64 pkt_bad:u64. The key stays where it is: see
 * {@link keyOctets}.
 */
export function decodeKey(bytes: Uint8Array): KernelKeyStatus {
  const view = viewOf(bytes);
  const flags = view.getUint16(276, true);
  const keyFlags = view.getUint8(282);
  const algorithmName = decodeName(
    bytes.subarray(SOCKADDR_STORAGE_BYTES, SOCKADDR_STORAGE_BYTES + ALGORITHM_NAME_BYTES),
  );
  const algorithm = algorithmOf(algorithmName);
  return {
    peer: decodeSockaddr(bytes),
    prefixLength: view.getUint8(280),
    sendId: view.getUint8(278),
    recvId: view.getUint8(279),
    ...((keyFlags & KEYF_IFINDEX) !== 0 && { ifindex: view.getInt32(284, true) }),
    ...(algorithm && { algorithm }),
    algorithmName,
    macLengthBytes: view.getUint8(281),
    keyLengthBytes: view.getUint8(283),
    coversTcpOptions: (keyFlags & KEYF_EXCLUDE_OPT) === 0,
    isCurrent: hasBit(flags, 0),
    isRnext: hasBit(flags, 1),
    good: view.getBigUint64(288, true),
    bad: view.getBigUint64(296, true),
  };
}

/** The key in struct tcp_ao_getsockopt, where it lies. */
export function keyOctets(bytes: Uint8Array): Uint8Array {
  const start = SOCKADDR_STORAGE_BYTES + ALGORITHM_NAME_BYTES;
  return bytes.subarray(start, start + Math.min(viewOf(bytes).getUint8(283), MAXIMUM_KEY_BYTES));
}

function writePeer(bytes: Uint8Array, key: KernelKeyName, domain: "ipv4" | "ipv6"): number {
  const { addressBits } = writeSockaddr(bytes, { address: key.peer, port: 0, domain });
  return key.prefixLength ?? addressBits;
}

function algorithmOf(kernelName: string): MacAlgorithm | undefined {
  // The kernel answers with its own name of AES-128-CMAC
  const name = kernelName === "cmac(aes)" ? "cmac(aes128)" : kernelName;
  return (Object.keys(kernelAlgorithmNames) as MacAlgorithm[]).find((key) => kernelAlgorithmNames[key] === name);
}

function decodeName(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bit(isSet: boolean | undefined, position: number): number {
  return isSet === true ? 1 << position : 0;
}

function hasBit(value: number, position: number): boolean {
  return ((value >>> position) & 1) === 1;
}
