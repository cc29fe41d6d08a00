import type { IkePeer, MktTerms, TrafficSelector } from "@karp/ikev2";
import { parseAddress } from "@karp/tcp-ao";
import { IP_PROTOCOL_TCP } from "../codePoints.ts";
import type { SessionConfiguration } from "../configuration.ts";
import { mktAlgorithms } from "../keytable/algorithms.ts";
import type { Association } from "./association.ts";

/** What we offer and accept for an MKT of this association. */
export function termsOf({ session, refusedAlgorithms }: Association, peer: IkePeer): MktTerms {
  const usable = session.algorithms.filter((algorithm) => !refusedAlgorithms.includes(algorithm));
  const algorithms = usable.length > 0 ? usable : session.algorithms;
  return {
    integrity: algorithms.map((algorithm) => mktAlgorithms[algorithm].integrity),
    tcpOptions: session.tcpOptions.map((options) => (options === "covered" ? 1 : 0)),
    keyExchange: session.pfs ? [...new Set(peer.suites.flatMap(({ keyExchange }) => keyExchange))] : [],
    localSelectors: selectorsOf(session.localAddress, session.port),
    remoteSelectors: selectorsOf(session.remoteAddress, session.port),
  };
}

/**
 * Either end may open the connection: its end has the well-known port or an ephemeral one. Two selectors say that
 * without covering other services that use TCP-AO.
 */
function selectorsOf(address: string, port: number): readonly TrafficSelector[] {
  const octets = parseAddress(address);
  const range = (startPort: number, endPort: number): TrafficSelector => ({
    kind: "range",
    ipProtocol: IP_PROTOCOL_TCP,
    startPort,
    endPort,
    startAddress: octets,
    endAddress: octets,
  });
  return port >= 1024 ? [range(1024, 65_535)] : [range(port, port), range(1024, 65_535)];
}

/** True when the selectors of a request mean this session: its two addresses, and its port at one end at least. */
export function meansSession(
  session: SessionConfiguration,
  local: readonly TrafficSelector[],
  remote: readonly TrafficSelector[],
): boolean {
  const hasPort =
    covers(local, session.localAddress, session.port) || covers(remote, session.remoteAddress, session.port);
  return hasPort && covers(local, session.localAddress) && covers(remote, session.remoteAddress);
}

function covers(selectors: readonly TrafficSelector[], address: string, port?: number): boolean {
  const octets = parseAddress(address);
  return selectors.some((selector) => {
    if (selector.kind !== "range") return false;
    if (selector.ipProtocol !== IP_PROTOCOL_TCP && selector.ipProtocol !== 0) return false;
    if (port !== undefined && (port < selector.startPort || port > selector.endPort)) return false;
    return isBetween(octets, selector.startAddress, selector.endAddress);
  });
}

function isBetween(address: Uint8Array, first: Uint8Array, last: Uint8Array): boolean {
  if (address.length !== first.length || address.length !== last.length) return false;
  return compareOctets(first, address) <= 0 && compareOctets(address, last) <= 0;
}

function compareOctets(a: Uint8Array, b: Uint8Array): number {
  for (const [index, octet] of a.entries()) {
    const difference = octet - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
