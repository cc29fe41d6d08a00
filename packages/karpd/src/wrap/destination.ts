import { formatAddress } from "@karp/tcp-ao";

/** Where a connect() goes. */
export interface Destination {
  /** In text, as formatAddress() writes it; a mapped IPv4 address as IPv4. */
  readonly address: string;
  readonly port: number;
}

const AF_INET = 2;
const AF_INET6 = 10;
const SOCKADDR_IN_BYTES = 16;
const SHORTEST_SOCKADDR_IN6_BYTES = 24;
const MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

/**
 * The destination of a struct sockaddr_in or sockaddr_in6 that another process wrote.
 * @returns undefined when it is neither: another family, or too short
 */
export function decodeDestination(bytes: Uint8Array): Destination | undefined {
  if (bytes.length < SOCKADDR_IN_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = view.getUint16(0, true);
  const port = view.getUint16(2, false);
  if (family === AF_INET) return { address: formatAddress(bytes.subarray(4, 8)), port };
  if (family !== AF_INET6 || bytes.length < SHORTEST_SOCKADDR_IN6_BYTES) return undefined;
  const address = bytes.subarray(8, 24);
  const isMapped = MAPPED_PREFIX.every((octet, index) => address[index] === octet);
  return { address: formatAddress(isMapped ? address.subarray(12) : address), port };
}
