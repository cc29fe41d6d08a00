import { setUint16, uint16 } from "./bytes.ts";
import { TcpAoUsageError } from "./errors.ts";

/**
 * The octets of an address in text: 4 for IPv4 ("10.0.0.1"), 16 for IPv6 ("fd00::1", "::ffff:10.0.0.1").
 * Zones ("%eth0") are not part of an address.
 * @throws TcpAoUsageError `badAddress`
 */
export function parseAddress(text: string): Uint8Array {
  const octets = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  if (octets === undefined) throw new TcpAoUsageError("badAddress", `"${text}" is not an IPv4 or IPv6 address`);
  return octets;
}

/** The text of an address, IPv6 as RFC 5952 section 4 wants it. */
export function formatAddress(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join(".");
  if (octets.length !== 16)
    throw new TcpAoUsageError("badAddress", `an address has 4 or 16 octets, not ${octets.length}`);
  const groups = Array.from({ length: 8 }, (_, index) => uint16(octets, index * 2).toString(16));
  const { start, length } = longestZeroRun(groups);
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  const isValid = parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
  return isValid ? Uint8Array.from(parts, Number) : undefined;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2 || (halves.length === 2 && halves[0]?.includes("."))) return undefined;
  const [head, tail] = halves.map(parseGroups);
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const octets = new Uint8Array(16);
  const groups = [...head, ...Array<number>(missing).fill(0), ...(tail ?? [])];
  for (const [index, group] of groups.entries()) setUint16(octets, index * 2, group);
  return octets;
}

/** The 16-bit groups of one side of "::"; an IPv4 address at the end gives two. */
function parseGroups(text: string): readonly number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const last = parts.at(-1) ?? "";
  const ipv4 = last.includes(".") ? parseIpv4(last) : undefined;
  const hex = ipv4 === undefined ? parts : parts.slice(0, -1);
  if (!hex.every((part) => /^[0-9a-f]{1,4}$/i.test(part))) return undefined;
  const groups = hex.map((part) => Number.parseInt(part, 16));
  return ipv4 === undefined ? groups : [...groups, uint16(ipv4, 0), uint16(ipv4, 2)];
}

function longestZeroRun(groups: readonly string[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === "0") length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
