import { Secret } from "@karp/ikev2";
import { algorithmOfBird, type FileKey } from "./fileKey.ts";

const TOKEN = /\s+|#[^\n]*|\/\*[\s\S]*?\*\/|"[^"\n]*"|[A-Za-z0-9_:]+|[\s\S]/g;
/** BIRD takes bare digits for octets from sixteen octets on; shorter ones are numbers or addresses. */
const OCTETS = /^(?:hex:((?:[0-9a-f]{2}:?)*)|((?:[0-9a-f]{2}){16,})|([0-9a-f]{2}(?::[0-9a-f]{2}){15,}))$/i;

/**
 * Keys that a person wrote in BIRD's own words: any number of `authentication ao;` and `keys { key { … }; … };`, of
 * which BIRD takes the last. Undefined: there is something else, or a word that is not known here (a constant as secret).
 */
export function parseStaticKeys(text: string): readonly FileKey[] | undefined {
  const tokens = Array.from(text.matchAll(TOKEN), ([token]) => token).filter((token) => !/^(\s|#|\/\*)/.test(token));
  const reader = new Reader(tokens);
  let keys: readonly FileKey[] | undefined;
  while (!reader.isAtEnd) {
    if (reader.takes("authentication", "ao", ";")) continue;
    if (!reader.takes("keys", "{")) return undefined;
    keys = readKeys(reader);
    if (keys === undefined) return undefined;
  }
  return keys;
}

/** The name of a key that karp did not make, in the include file and in what is said. */
export function staticKeyName({ sendId, recvId }: Pick<FileKey, "sendId" | "recvId">): string {
  return `static/${sendId}-${recvId}`;
}

class Reader {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  takes(...words: readonly string[]): boolean {
    if (words.some((word, index) => this.#tokens[this.#at + index] !== word)) return false;
    this.#at += words.length;
    return true;
  }

  /** The words before the next semicolon, which is taken too. */
  statement(): readonly string[] {
    const end = this.#tokens.indexOf(";", this.#at);
    if (end === -1) return [];
    const words = this.#tokens.slice(this.#at, end);
    this.#at = end + 1;
    return words;
  }
}

function readKeys(reader: Reader): readonly FileKey[] | undefined {
  const keys: FileKey[] = [];
  while (!reader.takes("}", ";")) {
    const key = reader.takes("key", "{") ? readKey(reader) : undefined;
    if (key === undefined) return undefined;
    keys.push(key);
  }
  return keys.length === 0 ? undefined : keys;
}

interface Parts {
  sendId: number | undefined;
  recvId: number | undefined;
  secret: Uint8Array | undefined;
  algorithm: string;
  use: FileKey["use"];
}

function readKey(reader: Reader): FileKey | undefined {
  const nothing = { sendId: undefined, recvId: undefined, secret: undefined };
  const parts: Parts = { ...nothing, algorithm: "hmac sha1", use: "accept" };
  while (!reader.takes("}", ";")) {
    if (!readPart(reader.statement(), parts)) return undefined;
  }
  const algorithm = algorithmOfBird(parts.algorithm);
  const { sendId, recvId, secret, use } = parts;
  if (sendId === undefined || recvId === undefined || secret === undefined || algorithm === undefined) return undefined;
  const adminKeyName = staticKeyName({ sendId, recvId });
  return { adminKeyName, sendId, recvId, algorithm, masterKey: new Secret(secret), use };
}

function readPart(words: readonly string[], parts: Parts): boolean {
  const last = words.at(-1) ?? "";
  switch (words.slice(0, -1).join(" ")) {
    case "id":
      parts.sendId = keyId(last);
      parts.recvId = parts.sendId;
      return parts.sendId !== undefined;
    case "send id":
      parts.sendId = keyId(last);
      return parts.sendId !== undefined;
    case "recv id":
      parts.recvId = keyId(last);
      return parts.recvId !== undefined;
    case "secret":
      parts.secret = octetsOf(last);
      return parts.secret !== undefined;
    case "algorithm hmac":
    case "algorithm cmac":
      parts.algorithm = words.slice(1).join(" ");
      return true;
    case "":
      if (last !== "preferred" && last !== "deprecated") return false;
      parts.use = last;
      return true;
    default:
      return false;
  }
}

function keyId(text: string): number | undefined {
  return /^\d{1,3}$/.test(text) && Number(text) <= 255 ? Number(text) : undefined;
}

function octetsOf(text: string): Uint8Array | undefined {
  if (text.startsWith('"')) return new TextEncoder().encode(text.slice(1, -1));
  const found = OCTETS.exec(text);
  const digits = (found?.[1] ?? found?.[2] ?? found?.[3])?.replaceAll(":", "");
  return digits === undefined ? undefined : Uint8Array.from(Buffer.from(digits, "hex"));
}
