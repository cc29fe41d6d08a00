/** Sets of Traffic Selectors: narrowing (RFC 7296 section 2.9), comparison, and what one TCP session needs. */
import { compareBytes, equalBytes } from "../bytes/bytes.ts";
import { hex } from "../bytes/hex.ts";
import type { TrafficSelector } from "../codec/trafficSelector.ts";
import { formatAddress } from "./address.ts";
import { isCovered } from "./selectorSpace.ts";

export type RangeSelector = Extract<TrafficSelector, { kind: "range" }>;

const tcp = 6;
const firstUserPort = 1024;
const lastPort = 65535;
/** The Number of TSs field has one octet, RFC 7296 section 3.13. */
const maximumSelectors = 255;

/**
 * The selectors of one routing session between two single addresses (4 or 16 octets). Either end may open the
 * connection, so each end has the protocol's port and the ports that connections are opened from.
 */
export function mktSelectors(
  localAddress: Uint8Array,
  remoteAddress: Uint8Array,
  port: number,
): { readonly localSelectors: readonly RangeSelector[]; readonly remoteSelectors: readonly RangeSelector[] } {
  return { localSelectors: sessionEnd(localAddress, port), remoteSelectors: sessionEnd(remoteAddress, port) };
}

/**
 * What of `proposed` is within `allowed`, in the order of `proposed`; empty means TS_UNACCEPTABLE. Selectors of types
 * that are not known are ignored (RFC 7296 section 2.9). Keeping every intersection includes the initiator's first
 * choice where it is allowed at all, as the same section demands.
 */
export function narrow(
  proposed: readonly TrafficSelector[],
  allowed: readonly TrafficSelector[],
): readonly RangeSelector[] {
  const narrowed: RangeSelector[] = [];
  for (const outer of proposed) {
    for (const inner of allowed) {
      const common = intersection(outer, inner);
      if (common === undefined || narrowed.some((known) => equalSelector(known, common))) continue;
      narrowed.push(common);
      if (narrowed.length === maximumSelectors) return narrowed;
    }
  }
  return narrowed;
}

/** True when all traffic of `inner` is in `outer`. False where an inner selector is of an unknown type or holds nothing. */
export function isSubset(inner: readonly TrafficSelector[], outer: readonly TrafficSelector[]): boolean {
  return selectorsOutside(inner, outer).length === 0;
}

/** The selectors that are not wholly within `allowed`: what to name when an answer or a request goes too far. */
export function selectorsOutside(
  selectors: readonly TrafficSelector[],
  allowed: readonly TrafficSelector[],
): readonly TrafficSelector[] {
  return selectors.filter((selector) => !isCovered(selector, allowed));
}

/** True when both describe the same traffic, however it is divided. */
export function equalSelectors(a: readonly TrafficSelector[], b: readonly TrafficSelector[]): boolean {
  return isSubset(a, b) && isSubset(b, a);
}

/** For people: "10.0.0.1 tcp 179, 10.0.0.1 tcp 1024-65535". */
export function formatSelectors(selectors: readonly TrafficSelector[]): string {
  return selectors.map(formatSelector).join(", ");
}

function sessionEnd(address: Uint8Array, port: number): readonly RangeSelector[] {
  const selector = (startPort: number, endPort: number): RangeSelector => ({
    kind: "range",
    ipProtocol: tcp,
    startPort,
    endPort,
    startAddress: address,
    endAddress: address,
  });
  return [selector(port, port), selector(firstUserPort, lastPort)];
}

function intersection(a: TrafficSelector, b: TrafficSelector): RangeSelector | undefined {
  if (a.kind !== "range" || b.kind !== "range" || a.startAddress.length !== b.startAddress.length) return undefined;
  // RFC 7296 section 3.13.1: IP protocol 0 is any
  if (a.ipProtocol !== b.ipProtocol && a.ipProtocol !== 0 && b.ipProtocol !== 0) return undefined;
  const startPort = Math.max(a.startPort, b.startPort);
  const endPort = Math.min(a.endPort, b.endPort);
  const startAddress = compareBytes(a.startAddress, b.startAddress) < 0 ? b.startAddress : a.startAddress;
  const endAddress = compareBytes(a.endAddress, b.endAddress) < 0 ? a.endAddress : b.endAddress;
  if (startPort > endPort || compareBytes(startAddress, endAddress) > 0) return undefined;
  return { kind: "range", ipProtocol: a.ipProtocol || b.ipProtocol, startPort, endPort, startAddress, endAddress };
}

function equalSelector(a: RangeSelector, b: RangeSelector): boolean {
  return (
    a.ipProtocol === b.ipProtocol &&
    a.startPort === b.startPort &&
    a.endPort === b.endPort &&
    equalBytes(a.startAddress, b.startAddress) &&
    equalBytes(a.endAddress, b.endAddress)
  );
}

function formatSelector(selector: TrafficSelector): string {
  if (selector.kind === "unknown") return `type ${selector.tsType} ${hex(selector.data)}`;
  const { startAddress, endAddress, startPort, endPort } = selector;
  const addresses = range(formatAddress(startAddress), formatAddress(endAddress));
  const isAnyPort = startPort === 0 && endPort === lastPort;
  const ports = isAnyPort ? "" : ` ${range(String(startPort), String(endPort))}`;
  return `${addresses} ${formatProtocol(selector.ipProtocol)}${ports}`;
}

function formatProtocol(ipProtocol: number): string {
  if (ipProtocol === 0) return "any";
  return ipProtocol === tcp ? "tcp" : `protocol ${ipProtocol}`;
}

function range(start: string, end: string): string {
  return start === end ? start : `${start}-${end}`;
}
