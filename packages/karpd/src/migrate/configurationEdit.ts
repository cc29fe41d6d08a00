import { randomBytes } from "node:crypto";
import { open, readFile, rename, stat } from "node:fs/promises";
import { isMap, parseDocument } from "yaml";

export interface SessionWords {
  readonly mode: string;
  readonly reservedKeyIds: readonly number[];
}

/** The file with other words for one session; comments and order stay. @throws Error when there is no such session */
export function withSessionWords(text: string, session: string, words: SessionWords): string {
  const document = parseDocument(text, { keepSourceTokens: true });
  const node = document.getIn(["sessions", session]);
  if (!isMap(node)) throw new Error(`there is no session ${session}`);
  node.set("mode", words.mode);
  if (words.reservedKeyIds.length > 0)
    node.set("reserved-key-ids", document.createNode(words.reservedKeyIds, { flow: true }));
  return document.toString({ lineWidth: 0 });
}

/** Takes back what {@link withSessionWords} did, in a file that may have changed otherwise since. @throws as that */
export function withSessionWordsOf(before: string, text: string, session: string): string {
  const document = parseDocument(text, { keepSourceTokens: true });
  const node = document.getIn(["sessions", session]);
  const former = parseDocument(before).getIn(["sessions", session]);
  if (!isMap(node) || !isMap(former)) throw new Error(`there is no session ${session}`);
  for (const word of ["mode", "reserved-key-ids"]) {
    if (former.has(word)) node.set(word, former.get(word, true));
    else node.delete(word);
  }
  return document.toString({ lineWidth: 0 });
}

/** Replaces a file as a whole, with owner and mode as they were. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const { uid, gid, mode } = await stat(path);
  if ((await readFile(path, "utf8")) === text) return;
  const temporary = `${path}.${randomBytes(6).toString("hex")}.new`;
  const handle = await open(temporary, "wx", mode & 0o777);
  try {
    await handle.chown(uid, gid).catch(() => undefined);
    await handle.chmod(mode & 0o777);
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
}
