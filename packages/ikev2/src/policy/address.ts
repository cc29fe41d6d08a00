/** IP addresses as octets (4 or 16) and as text: dotted decimal, and RFC 5952 for IPv6. No zone identifiers. */
import { UsageError } from "../bytes/errors.ts";

/** The octets, or undefined when the text is not an address. Strict: no leading zeros in IPv4, no shortened forms. */
export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** The canonical text; throws UsageError for anything but 4 or 16 octets. */
export function formatAddress(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join(".");
  if (octets.length !== 16) throw new UsageError("badAddress", `an address of ${octets.length} octets`);
  // RFC 5952 section 5: IPv4-mapped addresses are shown with their dotted part
  const isMapped = octets.every((octet, index) => index >= 12 || octet === (index >= 10 ? 0xff : 0));
  if (isMapped) return `::ffff:${octets.subarray(12).join(".")}`;
  const groups = groupsOf(octets);
  const { start, length } = longestZeroRun(groups);
  if (length < 2) return hexGroups(groups); // RFC 5952 section 4.2.2
  return `${hexGroups(groups.slice(0, start))}::${hexGroups(groups.slice(start + length))}`;
}

/** The canonical text of an address in any valid form, or undefined. */
export function canonicalAddress(text: string): string | undefined {
  const octets = parseAddress(text);
  return octets === undefined ? undefined : formatAddress(octets);
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(octets: Uint8Array): boolean {
  return octets.length === 4 ? octets[0] === 127 : octets.at(-1) === 1 && isZero(octets.subarray(0, -1));
}

/** 0.0.0.0 or ::. */
export function isUnspecified(octets: Uint8Array): boolean {
  return isZero(octets);
}

/** 224.0.0.0/4 or ff00::/8. */
export function isMulticast(octets: Uint8Array): boolean {
  return octets.length === 4 ? ((octets[0] ?? 0) & 0xf0) === 0xe0 : octets[0] === 0xff;
}

/** 169.254.0.0/16 or fe80::/10. */
export function isLinkLocal(octets: Uint8Array): boolean {
  return octets.length === 4
    ? octets[0] === 169 && octets[1] === 254
    : octets[0] === 0xfe && ((octets[1] ?? 0) & 0xc0) === 0x80;
}

function isZero(octets: Uint8Array): boolean {
  return octets.every((octet) => octet === 0);
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part))) return undefined;
  const octets = parts.map(Number);
  return octets.every((octet) => octet <= 255) ? Uint8Array.from(octets) : undefined;
}

/** RFC 4291 section 2.2: eight groups, "::" once for one or more zero groups, the last two perhaps dotted decimal. */
function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = octetsOfGroups(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? octetsOfGroups(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

function octetsOfGroups(text: string, mayEndInIpv4: boolean): readonly number[] | undefined {
  if (text === "") return [];
  const groups = text.split(":");
  const last = groups.at(-1) ?? "";
  const dotted = mayEndInIpv4 && last.includes(".") ? parseIpv4(last) : new Uint8Array(0);
  const plain = mayEndInIpv4 && last.includes(".") ? groups.slice(0, -1) : groups;
  if (dotted === undefined || !plain.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  const values = plain.map((group) => Number.parseInt(group, 16));
  return [...values.flatMap((value) => [value >> 8, value & 0xff]), ...dotted];
}

function groupsOf(octets: Uint8Array): readonly number[] {
  return Array.from({ length: 8 }, (_, n) => ((octets[2 * n] ?? 0) << 8) | (octets[2 * n + 1] ?? 0));
}

function hexGroups(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(":");
}

/** The first of the longest runs, RFC 5952 section 4.2.3. */
function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, index) => {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  });
  return best;
}
