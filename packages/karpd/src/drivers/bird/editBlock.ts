import { HandoverFailure } from "../../ports/handover.ts";
import { statementEnd, staticKeysOf } from "./blockKeys.ts";
import { readConfig } from "./configFiles.ts";
import type { OwnStatement, ProtocolBlock } from "./configScan.ts";

export interface BlockEdit {
  /** One sentence each, with file and line. */
  readonly changes: readonly string[];
  /** The whole file after them; undefined: nothing has to change. */
  readonly text: string | undefined;
}

/**
 * What has to change in a protocol block for karp's include file to count: a password and its `authentication` go, the
 * include line comes last. Keys of TCP-AO stay: in front of the include line they have no effect once it holds keys.
 * @throws HandoverFailure when it cannot be done in the block itself
 */
export async function editBlock(block: ProtocolBlock, include: string): Promise<BlockEdit> {
  const inTheWay = (await staticKeysOf(block)) === undefined ? block.ownAuthentication : [];
  const isMissing = !block.includesOurs;
  if (block.isOverruled && inTheWay.length === 0) throw new HandoverFailure(overruled(block));
  if (inTheWay.length === 0 && !isMissing) return { changes: [], text: undefined };
  const elsewhere = inTheWay.find(({ file }) => file !== block.file);
  if (elsewhere !== undefined) {
    const { file, line, word } = elsewhere;
    throw new HandoverFailure(`${file} line ${line}: \`${word}\` stands in a file of its own: take it out by hand`);
  }
  if (block.end === undefined)
    throw new HandoverFailure(`the block of ${block.file} line ${block.line} ends in another file`);
  const text = await readConfig(block.file);
  const changes = [
    ...inTheWay.map(({ line, word }) => `${block.file} line ${line}: take out \`${word} …;\``),
    ...(isMissing ? [`${block.file} line ${block.line}: add to the block, last: include "${include}";`] : []),
  ];
  const added = isMissing ? insertInclude(text, block.end, include) : text;
  return { changes, text: inTheWay.toReversed().reduce(withoutStatement, added) };
}

function overruled(block: ProtocolBlock): string {
  const [first] = block.ownAuthentication;
  return `${block.file} line ${first?.line ?? block.line}: the keys stand behind karp's include line and overrule it: move that line below them`;
}

/** BIRD wants `include` at the beginning of a line, and alone there. */
function insertInclude(text: string, end: number, include: string): string {
  const lineStart = text.lastIndexOf("\n", end - 1) + 1;
  const isAlone = text.slice(lineStart, end).trim() === "";
  const at = isAlone ? lineStart : end;
  return `${text.slice(0, at)}${isAlone ? "" : "\n"}include "${include}";\n${text.slice(at)}`;
}

/** A line on which nothing else stood goes with it. */
function withoutStatement(text: string, { offset }: OwnStatement): string {
  const end = statementEnd(text, offset);
  const lineStart = text.lastIndexOf("\n", offset - 1) + 1;
  const newline = text.indexOf("\n", end);
  const lineEnd = newline === -1 ? text.length : newline + 1;
  const isAlone = text.slice(lineStart, offset).trim() === "" && text.slice(end, lineEnd).trim() === "";
  return isAlone ? text.slice(0, lineStart) + text.slice(lineEnd) : text.slice(0, offset) + text.slice(end);
}
