import { createHash } from "node:crypto";
import { estimatePskStrength, Secret } from "@karp/ikev2";
import type { NamedFiles } from "./namedFiles.ts";
import type { Report } from "./report.ts";
import { type Parsed, parsed, refused } from "./result.ts";
import type { Path } from "./tree.ts";

export interface PresharedKey {
  readonly secret: Secret;
  /** SHA-256 in hexadecimal: tells whether two are the same, and is shown nowhere. */
  readonly digest: string;
}

const generate = "head -c 32 /dev/urandom | base64 > FILE && chmod 600 FILE, the same file at the peer";

/** Loads the key of one peer; undefined when the report has been told why not. */
export async function loadPresharedKey(
  files: NamedFiles,
  report: Report,
  name: string,
  at: Path,
  mayBeWeak: boolean,
): Promise<PresharedKey | undefined> {
  const content = await files.readSecret(name, at);
  if (content === undefined) return undefined;
  const octets = parsePresharedKey(content);
  content.fill(0);
  if (!octets.ok) {
    report.add("badPsk", at, octets.what, octets.advice);
    return undefined;
  }
  const { bits, isWeak } = estimatePskStrength(octets.value);
  if (isWeak && !mayBeWeak) {
    const what = `the pre-shared key is weak: at most ${bits} bits of 128`;
    report.add("weakPsk", at, what, `${generate}; for a test, \`allow-weak-psk: true\``);
    return undefined;
  }
  const digest = createHash("sha256").update(octets.value).digest("hex");
  return { secret: new Secret(octets.value), digest };
}

/**
 * The key in a file: `0x` and hexadecimal digits, `0s` and base64, or any other octets as they stand. One line end at the
 * end is not part of it.
 */
export function parsePresharedKey(content: Uint8Array): Parsed<Uint8Array> {
  const octets = withoutLineEnd(content);
  if (octets.length === 0) return refused("the file holds no key, only a line end", generate);
  const text = Buffer.from(octets).toString("latin1");
  if (text.startsWith("0x")) {
    if (/^0x([0-9a-fA-F]{2})+$/.test(text)) return parsed(new Uint8Array(Buffer.from(text.slice(2), "hex")));
    return refused(
      "the key begins with 0x and is not hexadecimal",
      "write an even number of hexadecimal digits after 0x",
    );
  }
  if (text.startsWith("0s")) {
    if (/^0s[A-Za-z0-9+/]+={0,2}$/.test(text)) return parsed(new Uint8Array(Buffer.from(text.slice(2), "base64")));
    return refused("the key begins with 0s and is not base64", "write base64 characters after 0s");
  }
  return parsed(octets.slice());
}

function withoutLineEnd(content: Uint8Array): Uint8Array {
  if (content.at(-1) !== 0x0a) return content;
  return content.subarray(0, content.at(-2) === 0x0d ? -2 : -1);
}
