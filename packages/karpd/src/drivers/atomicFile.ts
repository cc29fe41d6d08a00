import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";

export interface SecretFile {
  readonly path: string;
  readonly text: string;
  /** 0o600, or 0o640 where `gid` may read. */
  readonly mode: number;
  readonly gid?: number;
}

/**
 * Replaces a file as a whole: a reader, or a crash at any moment, sees the old text or the new one. The new text is on
 * the disk when this resolves. Permissions are set before the first octet of a key is written.
 */
export async function writeSecretFile(file: SecretFile): Promise<void> {
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
