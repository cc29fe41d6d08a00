import { readConfig } from "./configFiles.ts";
import type { OwnStatement, ProtocolBlock } from "./configScan.ts";
import type { FileKey } from "./fileKey.ts";
import { parseStaticKeys } from "./staticKeys.ts";

/**
 * The keys of TCP-AO that stand in the protocol block itself, in BIRD's order of things: the last `keys` counts.
 * Undefined: there are none, or something else is there too (a password), or they are not understood.
 * @throws UnreadableConfig
 */
export async function staticKeysOf(block: ProtocolBlock): Promise<readonly FileKey[] | undefined> {
  const texts: string[] = [];
  for (const statement of block.ownAuthentication) texts.push(await statementText(statement));
  return parseStaticKeys(texts.join("\n"));
}

/** From its first word to its semicolon. */
export async function statementText(statement: OwnStatement): Promise<string> {
  const text = await readConfig(statement.file);
  return text.slice(statement.offset, statementEnd(text, statement.offset));
}

const PART = /#[^\n]*|\/\*[\s\S]*?\*\/|"[^"\n]*"|[{};]/g;

/** Where a statement that begins at `offset` ends: behind the first semicolon that stands in no braces. */
export function statementEnd(text: string, offset: number): number {
  let depth = 0;
  for (const match of text.slice(offset).matchAll(PART)) {
    if (match[0] === "{") depth++;
    else if (match[0] === "}") depth--;
    else if (match[0] === ";" && depth === 0) return offset + match.index + 1;
  }
  return text.length;
}
