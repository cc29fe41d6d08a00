import { readFile } from "node:fs/promises";
import { hasAccess, LinkInPlace, writeSecretFile } from "../atomicFile.ts";
import { errnoOf } from "../text.ts";
import { type FileState, fileState } from "./configFiles.ts";
import type { FileAccess } from "./fileGroup.ts";
import { type IncludeFile, parseInclude, renderInclude } from "./includeFile.ts";

/** The include file as it is on the disk. */
export interface StoredInclude extends IncludeFile {
  /** Undefined: there is no file. */
  readonly text: string | undefined;
}

/** The include file holds what karp did not write. */
export class ForeignInclude extends Error {
  override readonly name = "ForeignInclude";
}

/** The include file cannot be read or written. `isSetUp`: it stays so until somebody changes the set-up. */
export class IncludeFailure extends Error {
  override readonly name = "IncludeFailure";
  readonly isSetUp: boolean;

  constructor(path: string, doing: string, error: unknown) {
    const errno = errnoOf(error) ?? "unknown error";
    const isSetUp = ["EACCES", "EPERM", "EROFS", "ENOENT", "ENOTDIR", "EISDIR"].includes(errno);
    const advice = isSetUp
      ? "; its directory must exist and belong to karp's user, the group must be one of that user's"
      : "";
    super(error instanceof LinkInPlace ? error.message : `cannot ${doing} ${path} (${errno})${advice}`);
    this.isSetUp = isSetUp || error instanceof LinkInPlace;
  }
}

/** @throws ForeignInclude, IncludeFailure */
export async function readInclude(path: string): Promise<StoredInclude> {
  const text = await textOf(path);
  const parsed = parseInclude(text ?? "");
  switch (parsed.kind) {
    case "ours":
    case "static":
      return { text, keys: parsed.keys, isProtocolDisabled: parsed.isProtocolDisabled };
    case "empty":
      return { text, keys: [], isProtocolDisabled: false };
    case "foreign":
      throw new ForeignInclude(
        `${path} line ${parsed.line} was not written by karp, and is left alone: put back what stood there, or empty the file`,
      );
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw new IncludeFailure(path, "read", error);
  }
}

/** Where and for whom the include file of one session is written. */
export interface IncludeTarget {
  readonly path: string;
  readonly session: string;
  readonly access: FileAccess & { readonly ok: true };
}

/**
 * Writes the file where it differs, or where its mode or group does: BIRD could not read it, or somebody else could.
 * @returns whether it did
 * @throws IncludeFailure
 */
export async function writeInclude(target: IncludeTarget, before: StoredInclude, file: IncludeFile): Promise<boolean> {
  const text = renderInclude(target.session, file);
  if (text === before.text && (await hasAccess(target.path, target.access))) return false;
  await restoreInclude(target, text);
  return true;
}

/** @throws IncludeFailure */
export async function restoreInclude(target: IncludeTarget, text: string): Promise<void> {
  const { mode, gid } = target.access;
  try {
    await writeSecretFile({ path: target.path, text, mode, ...(gid !== undefined && { gid }) });
  } catch (error) {
    throw new IncludeFailure(target.path, "write", error);
  }
}

/** @throws UnreadableConfig, IncludeFailure */
export async function includeState(path: string): Promise<FileState> {
  const state = await fileState(path);
  if (state === undefined) throw new IncludeFailure(path, "find", Object.assign(new Error(), { code: "ENOENT" }));
  return state;
}
