// The cache folder: what is expensive to make (root folder, kernel), each with a stamp that says what it was made from.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { MissingError } from "./need.ts";

export function cacheFolder(): string {
  const chosen = process.env["KARP_LAB_CACHE"];
  if (chosen) return chosen;
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "karp-lab");
}

/** One cached thing: `<cache>/<name>` is valid while `<cache>/<name>.stamp` equals the wanted recipe. */
export class Cached {
  readonly path: string;
  readonly #stamp: string;
  readonly #recipe: string;

  /** @param recipe whatever determines the content; a change of it makes the cached copy stale */
  constructor(name: string, recipe: Readonly<Record<string, unknown>>) {
    this.path = join(cacheFolder(), name);
    this.#stamp = `${this.path}.stamp`;
    this.#recipe = `${JSON.stringify(recipe, undefined, 2)}\n`;
  }

  isFresh(): boolean {
    return existsSync(this.path) && existsSync(this.#stamp) && readFileSync(this.#stamp, "utf8") === this.#recipe;
  }

  /**
   * Makes the thing if it is not there, under a lock. `prepare` sees to what the build needs, before anything is touched;
   * `build` must leave the thing at `this.path`.
   * @throws MissingError when it cannot be made here
   */
  async ensure(prepare: () => Promise<void>, build: () => Promise<void>): Promise<void> {
    if (this.isFresh()) return;
    await prepare();
    const release = await this.#lock();
    try {
      if (this.isFresh()) return;
      rmSync(this.#stamp, { force: true });
      await build();
      writeFileSync(this.#stamp, this.#recipe);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new MissingError(`${this.path} could not be made: ${reason}`, "see to the above and try again");
    } finally {
      release();
    }
  }

  async #lock(): Promise<() => void> {
    try {
      mkdirSync(cacheFolder(), { recursive: true });
      return await lock(`${this.path}.lock`);
    } catch (error) {
      if (!hasCode(error, "EACCES") && !hasCode(error, "EROFS")) throw error;
      throw new MissingError(`${cacheFolder()} may not be written`, "name another folder in KARP_LAB_CACHE");
    }
  }
}

/** A lock that is a folder with its owner's pid in it; an owner that no longer lives loses it. */
async function lock(folder: string): Promise<() => void> {
  const owner = join(folder, "pid");
  for (;;) {
    try {
      mkdirSync(folder);
      writeFileSync(owner, String(process.pid));
      return () => rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
    await delay(500);
    if (existsSync(owner) && !isAlive(Number(readFileSync(owner, "utf8"))))
      rmSync(folder, { recursive: true, force: true });
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, "EPERM");
  }
}
