import { randomBytes } from "node:crypto";
import { type FileHandle, lstat, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errnoOf } from "./text.ts";

export interface SecretFile {
  readonly path: string;
  readonly text: string;
  /** 0o600, or 0o640 where `gid` may read. */
  readonly mode: number;
  readonly gid?: number;
}

/** The file is a symbolic link: replacing it would leave the keys behind where it points to. */
export class LinkInPlace extends Error {
  override readonly name = "LinkInPlace";

  constructor(path: string) {
    super(`${path} is a symbolic link: name the file itself`);
  }
}

/**
 * Replaces a file as a whole: a reader, or a crash at any moment, sees the old text or the new one. The new text is on
 * the disk when this resolves. Permissions are set before the first octet of a key is written. One call at a time for
 * one file: what an earlier call left behind when it was killed holds keys, and is removed.
 * @throws LinkInPlace, or the error of the system call
 */
export async function writeSecretFile(file: SecretFile): Promise<void> {
  if (await isLink(file.path)) throw new LinkInPlace(file.path);
  await removeLeftovers(file.path);
  const temporary = `${file.path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await fill(handle, file);
    } finally {
      await handle.close();
    }
    await rename(temporary, file.path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(file.path));
}

/** Whether a file that is there has these permissions; an absent one has. */
export async function hasAccess(path: string, { mode, gid }: Pick<SecretFile, "mode" | "gid">): Promise<boolean> {
  try {
    const status = await stat(path);
    return (status.mode & 0o777) === mode && (gid === undefined || status.gid === gid);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return true;
    throw error;
  }
}

/** Why a file in this directory is not safe from other users, or nothing. Whoever may write there may put another in its place. */
export async function directoryFault(directory: string): Promise<string | undefined> {
  const { mode } = await stat(directory);
  const isSticky = (mode & 0o1000) !== 0;
  if ((mode & 0o002) === 0 || isSticky) return undefined;
  return `everyone may replace files in ${directory}: chmod o-w ${directory}`;
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** "r2.conf.0123456789ab.tmp": written by a karp that was killed before it could move it into place. */
async function removeLeftovers(path: string): Promise<void> {
  const prefix = `${basename(path)}.`;
  const isLeftover = (name: string): boolean =>
    name.startsWith(prefix) && /^[0-9a-f]{12}\.tmp$/.test(name.slice(prefix.length));
  const names = await readdir(dirname(path));
  for (const name of names.filter(isLeftover)) await unlink(join(dirname(path), name));
}

async function fill(handle: FileHandle, file: SecretFile): Promise<void> {
  if (file.gid !== undefined) {
    const { uid, gid } = await handle.stat();
    if (gid !== file.gid) await handle.chown(uid, file.gid);
  }
  await handle.chmod(file.mode);
  await handle.writeFile(file.text, "utf8");
  await handle.sync();
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
