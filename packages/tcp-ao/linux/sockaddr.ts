import { concat } from "../src/bytes.ts";
import { formatAddress, parseAddress } from "../src/index.ts";

/** sizeof(struct sockaddr_storage). */
export const SOCKADDR_STORAGE_BYTES = 128;
export const SOCKADDR_IN_BYTES = 16;
export const SOCKADDR_IN6_BYTES = 28;
export const AF_INET = 2;
export const AF_INET6 = 10;

const V4_MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

export interface SocketAddress {
  /** IPv4 or IPv6 in text. */
  readonly address: string;
  readonly port: number;
  /** The socket's family: an IPv4 address of an IPv6 socket is written as ::ffff:a.b.c.d. */
  readonly domain: "ipv4" | "ipv6";
}

/**
 * Writes a struct sockaddr_in or sockaddr_in6 at the start of `bytes`.
 * @returns its size, and the length of the address as the kernel counts prefixes: 32 for a mapped IPv4 address
 */
export function writeSockaddr(
  bytes: Uint8Array,
  socket: SocketAddress,
): { readonly size: number; readonly addressBits: number } {
  const address = parseAddress(socket.address);
  const isIpv4 = address.length === 4;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint16(2, socket.port, false);
  if (isIpv4 && socket.domain === "ipv4") {
    view.setUint16(0, AF_INET, true);
    bytes.set(address, 4);
    return { size: SOCKADDR_IN_BYTES, addressBits: 32 };
  }
  view.setUint16(0, AF_INET6, true);
  const octets = isIpv4 ? concat(V4_MAPPED_PREFIX, address) : address;
  bytes.set(octets, 8);
  return { size: SOCKADDR_IN6_BYTES, addressBits: isV4Mapped(octets) ? 32 : 128 };
}

/** The address of a struct sockaddr_storage in text; a mapped one as IPv4. */
export function decodeSockaddr(bytes: Uint8Array): string {
  const family = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint16(0, true);
  if (family === AF_INET) return formatAddress(bytes.subarray(4, 8));
  const address = bytes.subarray(8, 24);
  return formatAddress(isV4Mapped(address) ? address.subarray(12) : address);
}

/** The same with the port. */
export function decodeSocketAddress(bytes: Uint8Array): { readonly address: string; readonly port: number } {
  const port = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint16(2, false);
  return { address: decodeSockaddr(bytes), port };
}

/** An address in the form that sockets of this family have. @throws TcpAoUsageError `badAddress` */
export function socketAddressOctets(text: string, domain: SocketAddress["domain"]): Uint8Array {
  const address = parseAddress(text);
  return address.length === 4 && domain === "ipv6" ? concat(V4_MAPPED_PREFIX, address) : address;
}

export function isV4Mapped(address: Uint8Array): boolean {
  return V4_MAPPED_PREFIX.every((octet, index) => address[index] === octet);
}
