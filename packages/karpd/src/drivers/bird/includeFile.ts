import { createHash } from "node:crypto";
import { Secret } from "@karp/ikev2";
import { algorithmOfBird, birdAlgorithm, type FileKey } from "./fileKey.ts";
import { parseStaticKeys } from "./staticKeys.ts";

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
  /** Keys in BIRD's own words that a person wrote, or that `karp unmanage` left: they are adopted. */
  | ({ readonly kind: "static" } & IncludeFile)
  /** Something that karp did not write, or that somebody changed: left alone. */
  | { readonly kind: "foreign"; readonly line: number };

/** First words of the file. Whatever begins so is karp's, for the pending-edit check too. */
export const INCLUDE_MARKER = "# Written by karp";
const DISABLED_LINE = "# protocol disabled by karp for a revocation";

/** The text of the include file: the whole block, or only comments when there is no key (BIRD refuses `keys {}`). */
export function renderInclude(session: string, file: IncludeFile): string {
  const head = [`${INCLUDE_MARKER} for session ${session}; replaced at every change: do not edit, do not remove.`];
  if (file.isProtocolDisabled) head.push(DISABLED_LINE);
  return [...head, ...renderBlock(file.keys)].join("\n");
}

function renderBlock(keys: readonly FileKey[]): readonly string[] {
  if (keys.length === 0) return ["# No key yet.", ""];
  const lines = keys.flatMap((key) => [`  # ${key.adminKeyName}`, `  ${renderKey(key)}`]);
  return ["authentication ao;", "keys {", ...lines, "};", ""];
}

const RELEASE_MARKER = "# Left to people by karp unmanage";
const DIGEST_LINE = /^# sha256 of the lines below, to see whether they were edited: ([0-9a-f]{64})\n/m;

/** The same keys for people to go on with. It tells whether somebody has edited it since. */
export function renderReleased(session: string, keys: readonly FileKey[], at: string): string {
  const body = renderBlock(keys).join("\n");
  return [
    `${RELEASE_MARKER} of session ${session} at ${at}.`,
    "# These keys stay as they are until you change them: edit this file, then run birdc configure.",
    `# Do not remove the file while bird.conf includes it. karp takes it back with: karp manage ${session}`,
    `# sha256 of the lines below, to see whether they were edited: ${digestOf(body)}`,
    body,
  ].join("\n");
}

/** Whether karp wrote every line of the file: whoever makes BIRD read it puts nobody else's work into effect. */
export function isKarpsText(text: string): boolean {
  if (text.startsWith(INCLUDE_MARKER)) return true;
  const digest = text.startsWith(RELEASE_MARKER) ? DIGEST_LINE.exec(text) : null;
  return digest !== null && digest[1] === digestOf(text.slice(digest.index + digest[0].length));
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
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
  if (!isMarked) return parseUnmarked(text, lines, block);
  if (lines[block] !== "authentication ao;") return { kind: "foreign", line: block + 1 };
  const keys = parseBlock(lines, block);
  return typeof keys === "number" ? { kind: "foreign", line: keys } : { kind: "ours", keys, isProtocolDisabled };
}

/** What karp left behind and nobody edited has the names of its keys; anything else is read as BIRD would. */
function parseUnmarked(text: string, lines: readonly string[], block: number): ParsedInclude {
  const released = isKarpsText(text) ? parseBlock(lines, block) : undefined;
  const keys = Array.isArray(released) ? (released as readonly FileKey[]) : parseStaticKeys(text);
  if (keys === undefined) return { kind: "foreign", line: block + 1 };
  return { kind: "static", keys, isProtocolDisabled: false };
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
  const algorithm = algorithmOfBird(parts?.[4] ?? "");
  if (parts === null || algorithm === undefined) return undefined;
  const [sendId, recvId] = [Number(parts[1]), Number(parts[2])];
  if (sendId > 255 || recvId > 255) return undefined;
  const masterKey = new Secret(Uint8Array.from(Buffer.from(parts[3] ?? "", "hex")));
  const use = (parts[5] ?? "accept") as FileKey["use"];
  return { adminKeyName, sendId, recvId, algorithm, masterKey, use };
}
