import type { BigIntStats } from "node:fs";
import { lstat, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errnoOf } from "../text.ts";
import { isKarpsText } from "./includeFile.ts";

/** Enough of a file to see that it has changed. */
export interface FileState {
  /** The later of mtime and ctime, milliseconds since 1970: a file that is moved into place keeps its mtime. */
  readonly changedAt: number;
  /** Differs between any two files, and after every write. */
  readonly fingerprint: string;
}

/** One file that BIRD reads. */
export interface ConfigFile extends FileState {
  readonly path: string;
  readonly isOurs: boolean;
}

/** A file of BIRD's configuration cannot be read by karp. */
export class UnreadableConfig extends Error {
  override readonly name = "UnreadableConfig";
}

interface CachedFile {
  readonly fingerprint: string;
  readonly isOurs: boolean;
  readonly includes: readonly string[];
}

/** BIRD: Max include depth. */
const MAXIMUM_DEPTH = 8;
// Only at the beginning of a line, as in BIRD's own lexer; one inside a block comment costs no more than a look too many
const INCLUDE_LINE = /^[ \t]*include[ \t]*"([^"\n]+)"[ \t]*;/gm;

/** Finds all files that a BIRD configuration consists of; unchanged ones are not read again. */
export class ConfigFiles {
  readonly #cache = new Map<string, CachedFile>();

  /** @throws UnreadableConfig */
  async collect(main: string): Promise<readonly ConfigFile[]> {
    const found = new Map<string, ConfigFile>();
    await this.#visit(main, 0, found);
    return [...found.values()];
  }

  async #visit(path: string, depth: number, found: Map<string, ConfigFile>): Promise<void> {
    if (found.has(path) || depth > MAXIMUM_DEPTH) return;
    const state = await fileState(path);
    // Absent: BIRD says so itself in `configure check`
    if (state === undefined) return;
    const cached = await this.#read(path, state.fingerprint);
    found.set(path, { path, ...state, isOurs: cached.isOurs });
    for (const include of cached.includes) {
      const pattern = include.startsWith("/") ? include : join(dirname(path), include);
      for (const file of await expand(pattern)) await this.#visit(file, depth + 1, found);
    }
  }

  async #read(path: string, fingerprint: string): Promise<CachedFile> {
    const cached = this.#cache.get(path);
    if (cached?.fingerprint === fingerprint) return cached;
    const text = await readConfig(path);
    const includes = Array.from(text.matchAll(INCLUDE_LINE), (match) => match[1] ?? "");
    const entry = { fingerprint, isOurs: isKarpsText(text), includes };
    this.#cache.set(path, entry);
    return entry;
  }
}

/** @throws UnreadableConfig */
export async function readConfig(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw unreadable(path, error);
  }
}

/**
 * Undefined: there is no such file.
 * @throws UnreadableConfig
 */
export async function fileState(path: string): Promise<FileState | undefined> {
  try {
    const [file, name] = await Promise.all([stat(path, { bigint: true }), lstat(path, { bigint: true })]);
    return file.ino === name.ino ? stateOf(file) : stateOfLink(stateOf(name), stateOf(file));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw unreadable(path, error);
  }
}

/** A link that is new makes a file part of the configuration, however old that file is. */
function stateOfLink(link: FileState, file: FileState): FileState {
  return {
    changedAt: Math.max(link.changedAt, file.changedAt),
    fingerprint: `${link.fingerprint} -> ${file.fingerprint}`,
  };
}

function stateOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileState {
  const changedNs = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
  return { changedAt: Number(changedNs / 1000n) / 1000, fingerprint: `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}` };
}

function unreadable(path: string, error: unknown): UnreadableConfig {
  const advice = "karp must be able to read it, to see whether somebody is editing: add karp's user to its group";
  return new UnreadableConfig(`cannot read ${path} (${errnoOf(error) ?? "unknown error"}); ${advice}`);
}

/** The files that an include names, by the rules of glob(3) as BIRD calls it: no escapes, a dot must be written. */
export async function expand(pattern: string): Promise<readonly string[]> {
  if (!/[?*[]/.test(pattern)) return [pattern];
  let found: readonly string[] = ["/"];
  const parts = pattern.split("/").filter((part) => part !== "");
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    const next = await Promise.all(found.map((directory) => matches(directory, part, isLast)));
    found = next.flat();
  }
  return found;
}

async function matches(directory: string, part: string, isLast: boolean): Promise<readonly string[]> {
  if (!/[?*[]/.test(part)) return [join(directory, part)];
  const expression = globExpression(part);
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries
      .filter(({ name }) => expression.test(name) && (part.startsWith(".") || !name.startsWith(".")))
      .filter((entry) => !isLast || !entry.isDirectory())
      .map(({ name }) => join(directory, name))
      .sort();
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return [];
    throw unreadable(directory, error);
  }
}

function globExpression(part: string): RegExp {
  const source = part.replace(/\[(!|\^)?(\]?[^\]]*)\]|[\s\S]/g, (token, negation: string | undefined, set: string) => {
    if (token === "*") return ".*";
    if (token === "?") return ".";
    if (token.length > 1) return `[${negation === undefined ? "" : "^"}${set.replace(/[\\\]^]/g, "\\$&")}]`;
    return token.replace(/[.+^${}()|[\]\\]/, "\\$&");
  });
  try {
    return new RegExp(`^${source}$`, "s");
  } catch {
    return /^(?!)/; // a range such as [z-a] matches nothing
  }
}
