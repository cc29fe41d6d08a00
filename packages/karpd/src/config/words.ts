/** The small languages inside the configuration's values: what each means and what to say when it does not read. */
import {
  canonicalAddress,
  type Identity,
  isLinkLocal,
  isMulticast,
  isUnspecified,
  parseAddress,
  parseIdentity,
} from "@karp/ikev2";
import { type Parsed, parsed, refused } from "./result.ts";

/** `30d`, `12h`, `90s`, also `m` and `w`; in seconds. */
export function parseDuration(text: string): Parsed<number> {
  const match = /^(\d{1,9})\s?([a-zA-Z]*)$/.exec(text);
  if (match === null)
    return refused(`\`${text}\` is not a duration`, "write a number and a unit, as in 90s, 30m, 12h, 30d");
  const [, digits = "", unit = ""] = match;
  if (unit === "") return refused(`\`${text}\` says no unit`, `write ${digits}s for seconds, or m, h, d, w`);
  const seconds = unitSeconds.get(unit);
  if (seconds === undefined) {
    return refused(
      `\`${unit}\` is not a unit of time`,
      `write s, m, h, d or w, as in ${digits}${unit.charAt(0).toLowerCase()}`,
    );
  }
  if (Number(digits) === 0) return refused("a duration of zero", "write at least 1s");
  return parsed(Number(digits) * seconds);
}

const unitSeconds: ReadonlyMap<string, number> = new Map([
  ["s", 1],
  ["m", 60],
  ["h", 3600],
  ["d", 86_400],
  ["w", 604_800],
]);

export interface Window {
  readonly startMinute: number;
  readonly endMinute: number;
}

/** `02:00-04:00 UTC`, each day; past midnight when the end is before the start. */
export function parseWindow(text: string): Parsed<Window> {
  const match = /^(\d{1,2}):(\d{2})\s?-\s?(\d{1,2}):(\d{2})(?:\s?(\S+))?$/.exec(text);
  if (match === null) return refused(`\`${text}\` is not a window of the day`, 'write "02:00-04:00 UTC"');
  const [, startHour, startPart, endHour, endPart, zone] = match;
  const startMinute = Number(startHour) * 60 + Number(startPart);
  const endMinute = Number(endHour) * 60 + Number(endPart);
  const times = text.slice(0, text.length - (zone?.length ?? 0)).trim();
  if (zone === undefined)
    return refused(`\`${text}\` says no time zone`, `write "${times} UTC"; other zones are not known`);
  if (zone !== "UTC" && zone !== "Z") {
    return refused(`\`${zone}\`: windows are given in UTC only`, `convert the times and write "${times} UTC"`);
  }
  if (Number(startPart) > 59 || Number(endPart) > 59 || startMinute >= 1440 || endMinute > 1440) {
    return refused(`\`${text}\`: a day has 24 hours of 60 minutes`, 'write "02:00-04:00 UTC"');
  }
  if (startMinute === endMinute % 1440) {
    return refused(
      `\`${text}\` begins when it ends`,
      "leave `window` out for the whole day, or write two different times",
    );
  }
  return parsed({ startMinute, endMinute });
}

/** One unicast address of one host, in canonical text form. */
export function parseHost(text: string): Parsed<string> {
  const canonical = canonicalAddress(text);
  const octets = parseAddress(text);
  if (canonical === undefined || octets === undefined) return badAddress(text);
  if (isUnspecified(octets))
    return refused(`\`${text}\` is every address and none`, "write the one address that is meant");
  if (isMulticast(octets)) return refused(`\`${text}\` is a multicast address`, "write the address of one router");
  if (canonical.startsWith("::ffff:")) {
    return refused(`\`${text}\` is an IPv4 address in disguise`, `write ${canonical.slice("::ffff:".length)}`);
  }
  if (octets.length === 16 && isLinkLocal(octets)) {
    return refused(
      `\`${text}\` is a link-local address`,
      "not in this version: give both ends a global or unique local address",
    );
  }
  return parsed(canonical);
}

function badAddress(text: string): Parsed<never> {
  const [address = "", rest] = text.split(/[/%]/);
  if (rest !== undefined && canonicalAddress(address) !== undefined) {
    const what = text.includes("/") ? "a prefix" : "an address with a zone";
    return refused(`\`${text}\` is ${what}, not an address`, `write ${address}`);
  }
  const short = text.replace(/(^|\.)0+(?=\d)/g, "$1");
  if (canonicalAddress(short) !== undefined) return refused(`\`${text}\` has leading zeros`, `write ${short}`);
  const portless = /^(?:\[([^\]]+)\]|([^:]+)):\d+$/.exec(text);
  const withPort = portless?.[1] ?? portless?.[2];
  if (withPort !== undefined && canonicalAddress(withPort) !== undefined) {
    return refused(
      `\`${text}\` has a port, an address alone stands here`,
      `write ${withPort}; ports have words of their own`,
    );
  }
  const looksLikeName = /^[a-z][a-z0-9-]*(\.[a-z0-9-]+)*$/i.test(text);
  if (looksLikeName && !/^[0-9a-f]*$/i.test(text)) {
    return refused(`\`${text}\` is a name, not an address`, "write the address itself: karp asks no name server");
  }
  return refused(`\`${text}\` is not an IP address`, "write an address such as 10.0.0.1 or 2001:db8::1");
}

/** Where to listen. No address: each session's `local`. */
export interface Listen {
  readonly address?: string;
  readonly port: number;
}

export const ikePort = 500;
export const natTraversalPort = 4500;

/** `10.0.0.1`, `10.0.0.1:5500`, `[2001:db8::1]:5500`, `2001:db8::1`, or a port alone. */
export function parseListen(text: string): Parsed<Listen> {
  if (/^:?\d+$/.test(text)) {
    const port = parsePort(text.replace(":", ""));
    return port.ok ? parsed({ port: port.value }) : port;
  }
  const match = /^\[([^\]]*)\](?::(\d+))?$/.exec(text) ?? /^([^:]*)(?::(\d+))?$/.exec(text) ?? [text, text];
  const [, host = "", digits] = match;
  if (host === "*" || ["0.0.0.0", "::"].includes(host)) {
    const advice = digits === undefined ? "leave `listen` out" : `write the port alone: listen: ${digits}`;
    return refused(
      `\`${text}\`: karp listens on the addresses of its sessions, never on all`,
      `name the addresses, or ${advice} for each session's \`local\``,
    );
  }
  const address = parseHost(host);
  if (!address.ok) return address;
  const port = digits === undefined ? parsed(ikePort) : parsePort(digits);
  return port.ok ? parsed({ address: address.value, port: port.value }) : port;
}

function parsePort(text: string): Parsed<number> {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port >= 1 && port <= 65_535) return parsed(port);
  return refused(`\`${text}\` is not a port`, "write a number from 1 to 65535");
}

/** `10%`; as a part of 1. */
export function parsePercentage(text: string): Parsed<number> {
  const digits = /^(\d{1,2}(?:\.\d{1,3})?)\s?%$/.exec(text)?.[1];
  if (digits === undefined)
    return refused(`\`${text}\` is not a percentage`, "write a number and a percent sign, as in 10%");
  if (Number(digits) > 50) return refused(`\`${text}\` is too much`, "write at most 50%");
  return parsed(Number(digits) / 100);
}

/** `0` to `255`, or a range `100-119`; as [first, last]. */
export function parseKeyIds(text: string): Parsed<readonly [number, number]> {
  const match = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(text);
  const first = Number(match?.[1] ?? Number.NaN);
  const last = Number(match?.[2] ?? match?.[1] ?? Number.NaN);
  if (!(first <= 255 && last <= 255)) {
    return refused(`\`${text}\` is not a KeyID`, "write a number from 0 to 255, or a range such as 100-119");
  }
  if (last < first) return refused(`\`${text}\` runs backwards`, `write ${last}-${first}`);
  return parsed([first, last]);
}

const fingerprintAdvice =
  "write sha256: and 64 hexadecimal digits or 44 base64 characters: " +
  "openssl pkey -pubin -in KEY.pub -outform DER | openssl dgst -sha256";

/** `sha256:` and the SHA-256 of the SubjectPublicKeyInfo in hexadecimal (colons allowed) or base64. */
export function parseFingerprint(text: string): Parsed<Uint8Array> {
  const digest = /^sha256:(.*)$/i.exec(text)?.[1];
  if (digest === undefined) return refused("the fingerprint does not begin with sha256:", fingerprintAdvice);
  const digits = digest.replaceAll(":", "");
  if (/^[0-9a-f]{64}$/i.test(digits)) return parsed(new Uint8Array(Buffer.from(digits, "hex")));
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(digest)) return parsed(new Uint8Array(Buffer.from(digest, "base64")));
  return refused(`the fingerprint has ${digits.length} characters and is neither form of a SHA-256`, fingerprintAdvice);
}

/** Who may key a session, or `none`: a neighbour without karp. */
export function parsePeer(text: string): Parsed<Identity | undefined> {
  return text === "none" ? parsed(undefined) : parseName(text);
}

/** Who a router is, as in its certificate. */
export function parseName(text: string): Parsed<Identity> {
  if (text === "none") {
    return refused(
      "`none` names nobody",
      "write a name, as in the certificate; `peer: none` is for a neighbour without karp",
    );
  }
  const identity = parseIdentity(text);
  if (identity !== undefined) return parsed(identity);
  const advice = "write a domain name (r1.example.net), an address, user@domain, keyid:TEXT or dn:0xHEX";
  return refused(`\`${text}\` is not an identity`, advice);
}

export function parseFileName(text: string): Parsed<string> {
  if (text.includes("-----BEGIN"))
    return refused(
      "the text of a key stands where its file belongs",
      "put it into a file (mode 0600) and write the file's name",
    );
  if (text.includes("\0") || text.includes("\n"))
    return refused("this is not a file name", "write the name on one line");
  const credential = /^systemd:(.*)$/.exec(text)?.[1];
  if (credential !== undefined && !/^[A-Za-z0-9._-]{1,255}$/.test(credential)) {
    return refused(
      `\`${credential}\` is not the name of a systemd credential`,
      "write systemd:NAME as in LoadCredential=NAME:…",
    );
  }
  return parsed(text);
}

/** Session names are parts of file names, KeyIDs' names and commands. */
export const sessionNamePattern = "^[a-z0-9._-]{1,63}$";
