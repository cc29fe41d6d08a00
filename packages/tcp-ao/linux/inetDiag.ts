import { formatAddress } from "../src/index.ts";
import { decodeAttributes, encodeMessage, malformed, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST } from "./netlink.ts";
import { AF_INET, AF_INET6, isV4Mapped, socketAddressOctets } from "./sockaddr.ts";

/** A TCP socket of this network namespace, of any process, as the kernel lists it. */
export interface KernelSocket {
  /** The socket's own family: "ipv6" also where it speaks IPv4 by mapped addresses. */
  readonly domain: "ipv4" | "ipv6";
  readonly state: "listen" | "established" | "syn-sent" | "syn-received" | "closing";
  /** In text; a mapped IPv4 address as IPv4. */
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Of the device or VRF that the socket is bound to; 0: to none. */
  readonly interfaceIndex: number;
  /** Of the socket file; 0 while no process has it (a connection that is not accepted yet). */
  readonly inode: number;
  /** Names this socket and no other until the machine restarts (SO_COOKIE). */
  readonly cookie: bigint;
  /** The user who made it. */
  readonly uid: number;
  /** Of an IPv6 listener: it takes no IPv4 connections, so keys of IPv4 peers do nothing there. */
  readonly isIpv6Only?: boolean;
  /** For whom the socket has a TCP MD5 key; absent: for nobody, not asked for, or not to be known (CAP_NET_ADMIN). */
  readonly md5Peers?: readonly AddressRange[];
}

export interface AddressRange {
  readonly address: string;
  readonly prefixLength: number;
}

/** SOCK_DIAG_BY_FAMILY and SOCK_DESTROY. */
export const SOCK_DIAG_BY_FAMILY = 20;
export const SOCK_DESTROY = 21;
const IPPROTO_TCP = 6;
const INET_DIAG_INFO = 2;
const INET_DIAG_SKV6ONLY = 11;
const INET_DIAG_MD5SIG = 18;
/** sizeof(struct tcp_diag_md5sig): family:u8 prefix length:u8 key length:u16 address[16] key[80]. */
const MD5SIG_BYTES = 100;
/** sizeof(struct inet_diag_req_v2) and inet_diag_msg. */
const REQUEST_BYTES = 56;
const ANSWER_BYTES = 72;

/** include/net/tcp_states.h. TIME_WAIT and CLOSE are left out: there is nothing to key. */
const STATES: ReadonlyMap<number, KernelSocket["state"]> = new Map([
  [1, "established"],
  [2, "syn-sent"],
  [3, "syn-received"],
  [4, "closing"],
  [5, "closing"],
  [8, "closing"],
  [9, "closing"],
  [10, "listen"],
  [11, "closing"],
]);
const STATE_MASK = [...STATES.keys()].reduce((mask, state) => mask | (1 << state), 0);

const families = { ipv4: AF_INET, ipv6: AF_INET6 } as const;

/**
 * Asks for all TCP sockets of one family; a port that is 0 is not looked at.
 * struct inet_diag_req_v2: family protocol ext pad states:u32, then struct inet_diag_sockid: sport:be16 dport:be16
 * src[16] dst[16] if:u32 cookie:u32[2]
 */
export function encodeDump(
  domain: KernelSocket["domain"],
  ports: { readonly local: number; readonly remote: number },
  sequence: number,
  withMd5Peers = false,
): Uint8Array {
  const payload = new Uint8Array(REQUEST_BYTES);
  const view = new DataView(payload.buffer);
  // Linux gives the MD5 keys with struct tcp_info and never without it (inet_sk_diag_fill)
  payload.set([families[domain], IPPROTO_TCP, withMd5Peers ? 1 << (INET_DIAG_INFO - 1) : 0]);
  view.setUint32(4, STATE_MASK, true);
  view.setUint16(8, ports.local, false);
  view.setUint16(10, ports.remote, false);
  return encodeMessage({ type: SOCK_DIAG_BY_FAMILY, flags: NLM_F_REQUEST | NLM_F_DUMP, sequence, payload });
}

/** Asks for the end of exactly this socket. */
export function encodeDestroy(socket: KernelSocket, sequence: number): Uint8Array {
  const payload = new Uint8Array(REQUEST_BYTES);
  const view = new DataView(payload.buffer);
  payload.set([families[socket.domain], IPPROTO_TCP]);
  view.setUint32(4, STATE_MASK, true);
  view.setUint16(8, socket.localPort, false);
  view.setUint16(10, socket.remotePort, false);
  payload.set(socketAddressOctets(socket.localAddress, socket.domain), 12);
  payload.set(socketAddressOctets(socket.remoteAddress, socket.domain), 28);
  view.setUint32(44, socket.interfaceIndex, true);
  view.setBigUint64(48, socket.cookie, true);
  return encodeMessage({ type: SOCK_DESTROY, flags: NLM_F_REQUEST | NLM_F_ACK, sequence, payload });
}

/**
 * struct inet_diag_msg: family state timer retrans, struct inet_diag_sockid, expires:u32 rqueue:u32 wqueue:u32 uid:u32
 * inode:u32, then attributes.
 * @returns undefined for a state that was not asked for
 * @throws LinuxTcpAoError `malformedAnswer`
 */
export function decodeSocket(payload: Uint8Array): KernelSocket | undefined {
  if (payload.length < ANSWER_BYTES) throw malformed(`a socket in ${payload.length} octets`);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const domain = domainOf(view.getUint8(0));
  const state = STATES.get(view.getUint8(1));
  if (state === undefined) return undefined;
  const attributes = decodeAttributes(payload.subarray(ANSWER_BYTES));
  const v6Only = attributes.get(INET_DIAG_SKV6ONLY)?.[0];
  const md5Peers = decodeMd5Peers(attributes.get(INET_DIAG_MD5SIG) ?? new Uint8Array());
  return {
    domain,
    state,
    localAddress: addressAt(payload, 8, domain),
    localPort: view.getUint16(4, false),
    remoteAddress: addressAt(payload, 24, domain),
    remotePort: view.getUint16(6, false),
    interfaceIndex: view.getUint32(40, true),
    inode: view.getUint32(68, true),
    cookie: view.getBigUint64(44, true),
    uid: view.getUint32(64, true),
    ...(domain === "ipv6" && state === "listen" && v6Only !== undefined && { isIpv6Only: v6Only !== 0 }),
    ...(md5Peers.length > 0 && { md5Peers }),
  };
}

/** The kernel tells the keys as well: they are overwritten where they stand. */
function decodeMd5Peers(bytes: Uint8Array): readonly AddressRange[] {
  if (bytes.length % MD5SIG_BYTES !== 0) throw malformed(`TCP MD5 keys in ${bytes.length} octets`);
  return Array.from({ length: bytes.length / MD5SIG_BYTES }, (_, i) => {
    const entry = bytes.subarray(i * MD5SIG_BYTES, (i + 1) * MD5SIG_BYTES);
    entry.fill(0, 20);
    const [family = 0, prefixLength = 0] = entry;
    return { address: addressAt(entry, 4, domainOf(family)), prefixLength };
  });
}

function domainOf(family: number): KernelSocket["domain"] {
  if (family === AF_INET) return "ipv4";
  if (family === AF_INET6) return "ipv6";
  throw malformed(`a TCP socket of family ${family}`);
}

function addressAt(bytes: Uint8Array, offset: number, domain: KernelSocket["domain"]): string {
  if (domain === "ipv4") return formatAddress(bytes.subarray(offset, offset + 4));
  const address = bytes.subarray(offset, offset + 16);
  return formatAddress(isV4Mapped(address) ? address.subarray(12) : address);
}
