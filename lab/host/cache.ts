// The cache folder: what is expensive to make (root folder, kernel), each with a stamp that says what it was made from.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

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

  /** Builds under a lock unless another process has done so meanwhile. `build` must leave the thing at `this.path`. */
  async ensure(build: () => Promise<void>): Promise<void> {
    if (this.isFresh()) return;
    mkdirSync(cacheFolder(), { recursive: true });
    const release = await lock(`${this.path}.lock`);
    try {
      if (this.isFresh()) return;
      rmSync(this.#stamp, { force: true });
      await build();
      writeFileSync(this.#stamp, this.#recipe);
    } finally {
      release();
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
      if (!isExists(error)) throw error;
    }
    await delay(500);
    if (existsSync(owner) && !isAlive(Number(readFileSync(owner, "utf8"))))
      rmSync(folder, { recursive: true, force: true });
  }
}

function isExists(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EEXIST";
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
