import { constants } from "node:fs";
import { access, chmod, type FileHandle, lstat, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
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
export async function createExclusively(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
  } catch (error) {
    if (hasCode(error, "EEXIST")) return undefined;
    throw error;
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Refuses a file that others may read or write, and what is not a file. */
export async function refuseOpenFile(path: string): Promise<void> {
  const status = await lstat(path);
  if (!status.isFile()) throw new StoreError("permission", `${path} is not a plain file: name one`);
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
  const status = await lstat(path);
  if ((status.mode & 0o077) !== 0) {
    throw new StoreError(
      "permission",
      `the directory ${path} has mode ${octal(status.mode)}, others may look into it: chmod 700 ${path}`,
    );
  }
}

export function hasCode(error: unknown, code: string): boolean {
  return typeof error === "object" && error !== null && Reflect.get(error, "code") === code;
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
