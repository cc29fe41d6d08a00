import { dirname, join } from "node:path";
import { expand, readConfig } from "./configFiles.ts";

/** What bird.conf says in one `protocol bgp NAME { … }`. */
export interface ProtocolBlock {
  readonly file: string;
  readonly line: number;
  /** The block includes karp's file. */
  readonly includesOurs: boolean;
  /** "authentication", "password" or "keys" in the block itself: they collide with karp's. */
  readonly ownAuthentication: readonly OwnStatement[];
  /** One of them stands behind karp's include line, and counts instead of it. */
  readonly isOverruled: boolean;
  /** Where the block's closing brace stands, when that is in the same file. */
  readonly end: number | undefined;
  /** The word `dynamic` or a neighbor range: TCP-AO is not supported there. */
  readonly isDynamic: boolean;
}

/** A statement at the first level of the block, found by its first word. */
export interface OwnStatement {
  readonly word: string;
  readonly file: string;
  readonly line: number;
  /** Characters from the beginning of the file to its first word. */
  readonly offset: number;
}

interface Token {
  readonly text: string;
  readonly file: string;
  readonly line: number;
  readonly offset: number;
}

const OWN_WORDS = ["authentication", "password", "keys"];

const MAXIMUM_DEPTH = 8;
const TOKEN = /\s+|#[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|"[^"\n]*"?|'[^'\n]*'?|[A-Za-z_][A-Za-z0-9_]*|[\s\S]/g;
/** Words that are looked at; of a table of a million prefixes nothing else is kept. */
const WORDS = new Set(["protocol", "{", "}", "authentication", "password", "keys", "neighbor", "range"]);

/**
 * Looks for a protocol in a BIRD configuration, through all its includes except karp's own file. Undefined: not there.
 * @throws UnreadableConfig
 */
export async function findProtocol(main: string, name: string, ours: string): Promise<ProtocolBlock | undefined> {
  const tokens: Token[] = [];
  await readTokens({ file: main, ours, tokens, depth: 0 });
  const start = protocolStart(tokens, name);
  if (start === undefined) return undefined;
  const body = blockBody(tokens, start);
  const first = tokens[start];
  if (first === undefined) return undefined;
  const outer = body.filter(({ depth }) => depth === 1).map(({ token }) => token);
  const includeAt = body.findIndex(({ token }) => token.text === `include ${ours}`);
  const lastOwn = body.findLastIndex(({ token, depth }) => depth === 1 && OWN_WORDS.includes(token.text));
  const closing = tokens.find(({ text }, index) => text === "}" && tokens[index - 1] === body.at(-1)?.token);
  return {
    file: first.file,
    line: first.line,
    includesOurs: includeAt !== -1,
    ownAuthentication: outer
      .filter(({ text }) => OWN_WORDS.includes(text))
      .map(({ text, file, line, offset }) => ({ word: text, file, line, offset })),
    isOverruled: includeAt !== -1 && lastOwn > includeAt,
    end: closing?.file === first.file ? closing.offset : undefined,
    isDynamic: outer.some(({ text }, index) => text === "neighbor" && outer[index + 1]?.text === "range"),
  };
}

interface Reading {
  readonly file: string;
  readonly ours: string;
  readonly tokens: Token[];
  readonly depth: number;
}

/** Appends the words, braces and semicolons of a file. */
async function readTokens(reading: Reading): Promise<void> {
  const { file, tokens } = reading;
  const text = await readConfig(file);
  let line = 1;
  let isLineStart = true;
  let includeAt: number | undefined;
  let previous = "";
  for (const { 0: part, index: offset } of text.matchAll(TOKEN)) {
    const newlines = part.split("\n").length - 1;
    const isSpace = part.trim() === "";
    if (includeAt !== undefined && part.startsWith('"')) {
      await include(reading, includeAt, part.slice(1, -1));
      includeAt = undefined;
    } else if (isLineStart && part === "include") {
      includeAt = line;
    } else if (WORDS.has(part) || isName(previous, part)) {
      tokens.push({ text: part.replace(/^'(.*)'$/, "$1"), file, line, offset });
    }
    line += newlines;
    if (isSpace) isLineStart ||= newlines > 0;
    else isLineStart = false;
    if (!isSpace && !part.startsWith("#")) previous = part;
  }
}

/** `protocol bgp NAME`: the two words after `protocol`. */
function isName(previous: string, part: string): boolean {
  return (previous === "protocol" || previous === "bgp") && /^[A-Za-z_']/.test(part);
}

async function include(reading: Reading, line: number, argument: string): Promise<void> {
  const pattern = argument.startsWith("/") ? argument : join(dirname(reading.file), argument);
  for (const path of await expand(pattern)) {
    if (path === reading.ours) {
      reading.tokens.push({ text: `include ${path}`, file: reading.file, line, offset: -1 });
    } else if (reading.depth < MAXIMUM_DEPTH) {
      await readTokens({ ...reading, file: path, depth: reading.depth + 1 });
    }
  }
}

function protocolStart(tokens: readonly Token[], name: string): number | undefined {
  const start = tokens.findIndex(
    ({ text }, index) => text === "protocol" && tokens[index + 1]?.text === "bgp" && tokens[index + 2]?.text === name,
  );
  return start === -1 ? undefined : start;
}

/** Everything between the braces, with its depth; 1 is the block itself. */
function blockBody(
  tokens: readonly Token[],
  start: number,
): readonly { readonly token: Token; readonly depth: number }[] {
  const body: { token: Token; depth: number }[] = [];
  let depth = 0;
  for (const token of tokens.slice(start)) {
    if (token.text === "{") depth++;
    else if (token.text === "}") depth--;
    if (depth > 0) body.push({ token, depth });
    else if (body.length > 0) break;
  }
  return body;
}
