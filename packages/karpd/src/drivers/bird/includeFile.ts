import { Secret } from "@karp/ikev2";
import type { MktAlgorithm } from "../../core/keytable/row.ts";
import type { DriverKey } from "../../ports/routingDriver.ts";

/** A key as it stands in the include file. BIRD always covers the TCP options, so the file does not say it. */
export type FileKey = Omit<DriverKey, "coversTcpOptions">;

/** What the include file of one session says. */
export interface IncludeFile {
  readonly keys: readonly FileKey[];
  /** karp disabled the protocol while a revocation could not be activated: it enables it again afterwards. */
  readonly isProtocolDisabled: boolean;
}

export type ParsedInclude =
  | ({ readonly kind: "ours" } & IncludeFile)
  /** Nothing but comments and white space: may be written. */
  | { readonly kind: "empty" }
  /** Something that karp did not write, or that somebody changed: left alone. */
  | { readonly kind: "foreign"; readonly line: number };

/** First words of the file. Whatever begins so is karp's, for the pending-edit check too. */
export const INCLUDE_MARKER = "# Written by karp";
const DISABLED_LINE = "# protocol disabled by karp for a revocation";

/** Algorithms that BIRD writes onto the wire as negotiated. Its HMAC-SHA-256 is cut to 96 bits: see README. */
const BIRD_ALGORITHMS: Readonly<Partial<Record<MktAlgorithm, string>>> = {
  "aes-128-cmac-96": "cmac aes128",
  "hmac-sha-1-96": "hmac sha1",
};

/** BIRD's name of an algorithm; undefined: BIRD cannot do it. */
export function birdAlgorithm(algorithm: MktAlgorithm): string | undefined {
  return BIRD_ALGORITHMS[algorithm];
}

/** The text of the include file: the whole block, or only comments when there is no key (BIRD refuses `keys {}`). */
export function renderInclude(session: string, file: IncludeFile): string {
  const head = [`${INCLUDE_MARKER} for session ${session}; replaced at every change: do not edit, do not remove.`];
  if (file.isProtocolDisabled) head.push(DISABLED_LINE);
  if (file.keys.length === 0) return [...head, "# No key yet.", ""].join("\n");
  const keys = file.keys.flatMap((key) => [`  # ${key.adminKeyName}`, `  ${renderKey(key)}`]);
  return [...head, "authentication ao;", "keys {", ...keys, "};", ""].join("\n");
}

function renderKey(key: FileKey): string {
  const algorithm = birdAlgorithm(key.algorithm);
  if (algorithm === undefined) throw new RangeError(`BIRD has no ${key.algorithm}`);
  const secret = key.masterKey.expose((octets) => Buffer.from(octets).toString("hex"));
  const use = key.use === "accept" ? "" : ` ${key.use};`;
  return `key { send id ${key.sendId}; recv id ${key.recvId}; secret hex:${secret}; algorithm ${algorithm};${use} };`;
}

const KEY_LINE =
  /^ {2}key \{ send id (\d{1,3}); recv id (\d{1,3}); secret hex:((?:[0-9a-f]{2})+); algorithm ([a-z0-9 ]+);(?: (preferred|deprecated);)? \};$/;

/** Reads back what {@link renderInclude} wrote. Any text gives one of the three answers. */
export function parseInclude(text: string): ParsedInclude {
  const lines = text.split("\n");
  const isComment = (line: string): boolean => /^\s*(#.*)?$/.test(line);
  const isMarked = text.startsWith(INCLUDE_MARKER);
  const isProtocolDisabled = isMarked && lines[1] === DISABLED_LINE;
  const block = lines.findIndex((line) => !isComment(line));
  if (block === -1) return isMarked ? { kind: "ours", keys: [], isProtocolDisabled } : { kind: "empty" };
  if (!isMarked || lines[block] !== "authentication ao;") return { kind: "foreign", line: block + 1 };
  const keys = parseBlock(lines, block);
  return typeof keys === "number" ? { kind: "foreign", line: keys } : { kind: "ours", keys, isProtocolDisabled };
}

/** The keys, or the number of the line that karp did not write. */
function parseBlock(lines: readonly string[], block: number): readonly FileKey[] | number {
  if (lines[block + 1] !== "keys {") return block + 2;
  const keys: FileKey[] = [];
  let at = block + 2;
  for (; lines[at] !== "};"; at += 2) {
    const name = /^ {2}# (\S+)$/.exec(lines[at] ?? "")?.[1];
    const key = name === undefined ? undefined : parseKey(name, lines[at + 1] ?? "");
    if (key === undefined) return Math.min(at + (name === undefined ? 1 : 2), lines.length);
    keys.push(key);
  }
  const isEnd = lines.slice(at + 1).every((line) => line === "");
  return isEnd && keys.length > 0 ? keys : at + 2;
}

function parseKey(adminKeyName: string, line: string): FileKey | undefined {
  const parts = KEY_LINE.exec(line);
  const algorithm = (Object.keys(BIRD_ALGORITHMS) as MktAlgorithm[]).find((name) => birdAlgorithm(name) === parts?.[4]);
  if (parts === null || algorithm === undefined) return undefined;
  const [sendId, recvId] = [Number(parts[1]), Number(parts[2])];
  if (sendId > 255 || recvId > 255) return undefined;
  const masterKey = new Secret(Uint8Array.from(Buffer.from(parts[3] ?? "", "hex")));
  const use = (parts[5] ?? "accept") as FileKey["use"];
  return { adminKeyName, sendId, recvId, algorithm, masterKey, use };
}
