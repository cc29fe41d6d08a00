import { uint8 } from "./bytes.ts";
import { TcpAoUsageError } from "./errors.ts";

/** A TCP connection as this end sees it. Addresses have 4 octets or 16. */
export interface SocketPair {
  readonly localAddress: Uint8Array;
  readonly localPort: number;
  readonly remoteAddress: Uint8Array;
  readonly remotePort: number;
}

/** Any address, or those that begin with the first `prefixLength` bits of `address`. */
export type AddressPattern = "*" | { readonly address: Uint8Array; readonly prefixLength: number };

/** Any port, or those from `first` to `last`, both included. */
export type PortPattern = "*" | { readonly first: number; readonly last: number };

export interface ConnectionPattern {
  readonly localAddress: AddressPattern;
  readonly localPort: PortPattern;
  readonly remoteAddress: AddressPattern;
  readonly remotePort: PortPattern;
}

/** The TCP connection identifier of an MKT (RFC 5925 section 3.1): a connection belongs to it when any pattern matches. */
export type ConnectionIdentifier = readonly ConnectionPattern[];

/** Whoever opens a connection does so from one of these, so that peerings of two protocols do not overlap. */
const UNPRIVILEGED: PortPattern = { first: 1024, last: 0xffff };

/**
 * All connections between two hosts in which one end uses the well-known port: what one BGP (179), LDP (646),
 * MSDP (639) or PCEP (4189) peering needs, whichever end opens the connection.
 */
export function peering(localAddress: Uint8Array, remoteAddress: Uint8Array, port: number): ConnectionIdentifier {
  const local = host(localAddress);
  const remote = host(remoteAddress);
  const service = { first: port, last: port };
  return [
    { localAddress: local, localPort: UNPRIVILEGED, remoteAddress: remote, remotePort: service },
    { localAddress: local, localPort: service, remoteAddress: remote, remotePort: UNPRIVILEGED },
  ];
}

/** Whether the MKT with this identifier applies to the connection. */
export function matchesConnection(identifier: ConnectionIdentifier, pair: SocketPair): boolean {
  return identifier.some(
    (pattern) =>
      addressesOverlap(pattern.localAddress, host(pair.localAddress)) &&
      addressesOverlap(pattern.remoteAddress, host(pair.remoteAddress)) &&
      portsOverlap(pattern.localPort, { first: pair.localPort, last: pair.localPort }) &&
      portsOverlap(pattern.remotePort, { first: pair.remotePort, last: pair.remotePort }),
  );
}

/** Whether some connection belongs to both (RFC 5925 section 3.1: there, IDs must not overlap). */
export function identifiersOverlap(a: ConnectionIdentifier, b: ConnectionIdentifier): boolean {
  return a.some((one) => b.some((other) => patternsOverlap(one, other)));
}

/** @throws TcpAoUsageError `badConnectionIdentifier` for one that can match nothing or makes no sense */
export function assertConnectionIdentifier(identifier: ConnectionIdentifier): void {
  if (identifier.length === 0) {
    throw new TcpAoUsageError("badConnectionIdentifier", "a connection identifier needs at least one pattern");
  }
  for (const pattern of identifier) {
    assertAddress(pattern.localAddress);
    assertAddress(pattern.remoteAddress);
    assertPort(pattern.localPort);
    assertPort(pattern.remotePort);
  }
}

function host(address: Uint8Array): AddressPattern {
  return { address, prefixLength: address.length * 8 };
}

function patternsOverlap(a: ConnectionPattern, b: ConnectionPattern): boolean {
  return (
    addressesOverlap(a.localAddress, b.localAddress) &&
    addressesOverlap(a.remoteAddress, b.remoteAddress) &&
    portsOverlap(a.localPort, b.localPort) &&
    portsOverlap(a.remotePort, b.remotePort)
  );
}

function addressesOverlap(a: AddressPattern, b: AddressPattern): boolean {
  if (a === "*" || b === "*") return true;
  if (a.address.length !== b.address.length) return false;
  return startsAlike(a.address, b.address, Math.min(a.prefixLength, b.prefixLength));
}

function startsAlike(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  const whole = bits >>> 3;
  for (let index = 0; index < whole; index++) {
    if (uint8(a, index) !== uint8(b, index)) return false;
  }
  const rest = bits & 7;
  return rest === 0 || (uint8(a, whole) ^ uint8(b, whole)) >>> (8 - rest) === 0;
}

function portsOverlap(a: PortPattern, b: PortPattern): boolean {
  return a === "*" || b === "*" || (a.first <= b.last && b.first <= a.last);
}

function assertAddress(pattern: AddressPattern): void {
  if (pattern === "*") return;
  const { address, prefixLength } = pattern;
  const isValid = [4, 16].includes(address.length) && Number.isInteger(prefixLength);
  if (!isValid || prefixLength < 0 || prefixLength > address.length * 8) {
    throw new TcpAoUsageError("badConnectionIdentifier", `a prefix of ${prefixLength} bits does not fit the address`);
  }
}

function assertPort(pattern: PortPattern): void {
  if (pattern === "*") return;
  const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 0xffff;
  if (!isPort(pattern.first) || !isPort(pattern.last) || pattern.first > pattern.last) {
    throw new TcpAoUsageError("badConnectionIdentifier", `ports ${pattern.first} to ${pattern.last} are not a range`);
  }
}
