/** Traffic as boxes in three dimensions: IP protocol, port, address. */
import type { TrafficSelector } from "../codec/trafficSelector.ts";

/** Inclusive bounds. */
interface Interval {
  readonly from: bigint;
  readonly to: bigint;
}
/** Protocol, port, address of one IP version. */
type Box = readonly [Interval, Interval, Interval];

/** More pieces than this come only from a peer that wants to cost time: then nothing is said to be covered. */
const maximumPieces = 1024;

/** True when all traffic of `selector` is in the union of `cover`. */
export function isCovered(selector: TrafficSelector, cover: readonly TrafficSelector[]): boolean {
  const whole = boxOf(selector);
  if (whole === undefined) return false;
  let remainder: readonly Box[] = [whole];
  for (const other of cover) {
    const box = isSameVersion(selector, other) ? boxOf(other) : undefined;
    if (box === undefined) continue;
    remainder = remainder.flatMap((piece) => subtract(piece, box));
    if (remainder.length === 0) return true;
    if (remainder.length > maximumPieces) return false;
  }
  return false;
}

function isSameVersion(a: TrafficSelector, b: TrafficSelector): boolean {
  return a.kind === "range" && b.kind === "range" && a.startAddress.length === b.startAddress.length;
}

/** Undefined for a selector that is not known or holds nothing (also OPAQUE ports: start 65535, end 0). */
function boxOf(selector: TrafficSelector): Box | undefined {
  if (selector.kind !== "range") return undefined;
  const { ipProtocol } = selector;
  const protocol = ipProtocol === 0 ? interval(0n, 255n) : interval(BigInt(ipProtocol), BigInt(ipProtocol));
  const ports = interval(BigInt(selector.startPort), BigInt(selector.endPort));
  const addresses = interval(numberOf(selector.startAddress), numberOf(selector.endAddress));
  return ports.from > ports.to || addresses.from > addresses.to ? undefined : [protocol, ports, addresses];
}

/** The parts of `piece` outside `hole`: at most two per dimension, that do not overlap. */
function subtract(piece: Box, hole: Box): readonly Box[] {
  const common: Box = [overlap(piece[0], hole[0]), overlap(piece[1], hole[1]), overlap(piece[2], hole[2])];
  if (common.some(({ from, to }) => from > to)) return [piece];
  const [protocol, port, address] = common;
  return [
    ...sides(piece[0], protocol).map((part): Box => [part, piece[1], piece[2]]),
    ...sides(piece[1], port).map((part): Box => [protocol, part, piece[2]]),
    ...sides(piece[2], address).map((part): Box => [protocol, port, part]),
  ];
}

function sides(whole: Interval, middle: Interval): readonly Interval[] {
  return [interval(whole.from, middle.from - 1n), interval(middle.to + 1n, whole.to)].filter(
    ({ from, to }) => from <= to,
  );
}

function overlap(a: Interval, b: Interval): Interval {
  return interval(larger(a.from, b.from), smaller(a.to, b.to));
}

function larger(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}

function smaller(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}

function interval(from: bigint, to: bigint): Interval {
  return { from, to };
}

function numberOf(octets: Uint8Array): bigint {
  return octets.reduce((value, octet) => (value << 8n) | BigInt(octet), 0n);
}
