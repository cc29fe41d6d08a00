import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { access, chmod, type FileHandle, link, lstat, mkdir, open, readdir, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { geteuid } from "node:process";
import { StoreError } from "../ports/keyStore.ts";
import { storeErrorOf } from "./faults.ts";

/**
 * Makes sure that the directory (0700) and the file (0600) of the store are there and nobody else's business; makes
 * them when missing. Rejects with a StoreError.
 */
export async function prepareStoreFiles(path: string): Promise<void> {
  try {
    await prepareDirectory(dirname(path));
    if (!(await fileExists(path))) await createPrivateFile(path);
    await refuseOpenFile(path);
    await access(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw storeErrorOf(error, path);
  }
}

/** Makes an empty file with mode 0600 and syncs its directory entry; leaves one that is there alone. */
async function createPrivateFile(path: string): Promise<void> {
  const handle = await createExclusively(path);
  if (handle === undefined) return;
  await handle.close();
  await syncDirectory(dirname(path));
}

/** Undefined: the file exists already. */
async function createExclusively(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
  } catch (error) {
    if (hasCode(error, "EEXIST")) return undefined;
    throw error;
  }
}

/**
 * Makes a file with these octets and mode 0600, all of it or nothing, however this process ends; leaves one that is
 * there alone. It and its directory entry are on the disk when this resolves.
 */
export async function createWholeFile(path: string, octets: Uint8Array): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.new`;
  const handle = await open(temporary, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
  try {
    await handle.writeFile(octets);
    await handle.sync();
    await link(temporary, path);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    await handle.close();
    await unlink(temporary).catch(() => undefined);
  }
  await syncDirectory(dirname(path));
}

/** Removes what {@link createWholeFile} left beside a file when its process was killed. Only once the file is there. */
export async function removeUnfinished(path: string): Promise<void> {
  const prefix = `${basename(path)}.`;
  const isUnfinished = (name: string): boolean =>
    name.startsWith(prefix) && /^[0-9a-f]{12}\.new$/.test(name.slice(prefix.length));
  const names = await readdir(dirname(path));
  for (const name of names.filter(isUnfinished)) await unlink(join(dirname(path), name)).catch(() => undefined);
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Refuses a file that others own, or may read or write, and what is not a file. */
export async function refuseOpenFile(path: string): Promise<void> {
  const status = await lstat(path);
  if (!status.isFile()) throw new StoreError("permission", `${path} is not a plain file: name one`);
  refuseOtherOwner(path, status.uid);
  if ((status.mode & 0o077) !== 0) {
    throw new StoreError("permission", `${path} has mode ${octal(status.mode)}, others may use it: chmod 600 ${path}`);
  }
}

export async function fileExists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return false;
    throw error;
  }
}

export async function prepareDirectory(path: string): Promise<void> {
  const firstMade = await mkdir(path, { recursive: true, mode: 0o700 });
  // The umask may have taken bits away; parents that were made on the way keep what mkdir gave them.
  if (firstMade !== undefined) await chmod(path, 0o700);
  const status = await stat(path);
  refuseOtherOwner(path, status.uid);
  if ((status.mode & 0o077) !== 0) {
    throw new StoreError(
      "permission",
      `the directory ${path} has mode ${octal(status.mode)}, others may look into it: chmod 700 ${path}`,
    );
  }
}

/** Its owner may read it and put another in its place, whatever its mode. What is root's is safe; access(2) has its say. */
function refuseOtherOwner(path: string, owner: number): void {
  const ours = geteuid?.();
  if (ours === undefined || owner === ours || owner === 0) return;
  throw new StoreError(
    "permission",
    `${path} belongs to user ${owner}, and karp runs as user ${ours}: run karp as that user, or chown ${ours} ${path}`,
  );
}

export function hasCode(error: unknown, code: string): boolean {
  return typeof error === "object" && error !== null && Reflect.get(error, "code") === code;
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
