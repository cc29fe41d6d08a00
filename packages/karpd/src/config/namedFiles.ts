import { constants, type Stats } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import type { Report } from "./report.ts";
import type { Path } from "./tree.ts";

const largestFile = 1024 * 1024;

export interface NamedFilesOptions {
  /** The configuration file: relative names are relative to its directory. */
  readonly configurationFile: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Reads the files that the configuration names, each once, and says what is wrong with those that cannot be used. */
export class NamedFiles {
  readonly #directory: string;
  readonly #credentials: string | undefined;
  readonly #report: Report;
  readonly #read = new Set<string>();

  constructor(options: NamedFilesOptions, report: Report) {
    this.#directory = dirname(resolve(options.configurationFile));
    this.#credentials = options.environment["CREDENTIALS_DIRECTORY"];
    this.#report = report;
  }

  /** Everything that was read, in order. */
  get read(): readonly string[] {
    return [...this.#read];
  }

  /** The path that a name means; undefined (and said) for a systemd credential outside a unit. */
  locate(name: string, at: Path): string | undefined {
    const credential = credentialName(name);
    if (credential === undefined) return isAbsolute(name) ? name : join(this.#directory, name);
    if (this.#credentials !== undefined) return join(this.#credentials, credential);
    this.#report.add(
      "noCredentials",
      at,
      `\`${name}\`: there is no CREDENTIALS_DIRECTORY`,
      `run karp from a systemd unit with LoadCredential=${credential}:/path/to/file, or name a file`,
    );
    return undefined;
  }

  /** The content of a file that is no secret. */
  async readPublic(name: string, at: Path): Promise<Uint8Array | undefined> {
    const path = this.locate(name, at);
    return path === undefined ? undefined : this.#content(path, at, () => true);
  }

  /** The content of a file that only its owner, root or karp's own user, (and perhaps a group) may read. */
  async readSecret(name: string, at: Path): Promise<Uint8Array | undefined> {
    const path = this.locate(name, at);
    return path === undefined ? undefined : this.#content(path, at, (status) => this.#isPrivate(path, at, status));
  }

  /** Asked of the open file: the name may mean another one by now. */
  #isPrivate(path: string, at: Path, status: Stats): boolean {
    const user = process.getuid?.() ?? 0;
    if (user !== 0 && status.uid !== 0 && status.uid !== user) {
      const what = `${path} belongs to uid ${status.uid}, who can change it, and neither to root nor to karp's user`;
      this.#report.add("foreignSecret", at, what, `chown ${user} ${path}, and replace the secret`);
      return false;
    }
    if ((status.mode & 0o027) === 0) return true;
    const mode = (status.mode & 0o777).toString(8).padStart(4, "0");
    const others = (status.mode & 0o007) === 0 ? "its group may write it" : "everyone on this machine may use it";
    this.#report.add(
      "openSecret",
      at,
      `${path} has mode ${mode}: ${others}`,
      `chmod 600 ${path}, and replace the secret if others may have read it`,
    );
    return false;
  }

  async #content(path: string, at: Path, isUsable: (status: Stats) => boolean): Promise<Uint8Array | undefined> {
    this.#read.add(path);
    try {
      const octets = await readWhole(path, largestFile, isUsable);
      if (octets === undefined) return undefined;
      if (octets.length > 0) return octets;
      this.#report.add("emptyFile", at, `${path} is empty`, "write the file again, or name another");
    } catch (error) {
      const { what, advice } = explain(error, path);
      this.#report.add("unreadableFile", at, what, advice);
    }
    return undefined;
  }
}

export function credentialName(name: string): string | undefined {
  return name.startsWith("systemd:") ? name.slice("systemd:".length) : undefined;
}

/**
 * A regular file of `most` octets at most: not even a pipe that nobody writes to holds it up. Undefined when `isUsable`
 * says no to it.
 */
export async function readWhole(
  path: string,
  most: number,
  isUsable: (status: Stats) => boolean,
): Promise<Uint8Array | undefined> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = await handle.stat();
    if (!status.isFile()) throw Object.assign(new Error("not a file"), { code: "ENOTFILE" });
    if (status.size > most) throw Object.assign(new Error("too large"), { code: "ETOOLARGE" });
    return isUsable(status) ? new Uint8Array(await handle.readFile()) : undefined;
  } finally {
    await handle.close();
  }
}

/** Why a file cannot be read, in words. */
export function explain(error: unknown, path: string): { readonly what: string; readonly advice: string } {
  const code: unknown = typeof error === "object" && error !== null ? Reflect.get(error, "code") : undefined;
  switch (code) {
    case "ENOENT":
      return { what: `${path} does not exist`, advice: "make the file, or correct its name" };
    case "EACCES":
    case "EPERM":
      return {
        what: `${path} cannot be read: permission denied`,
        advice: "let the user that runs karp own it: chown karp FILE",
      };
    case "ELOOP":
      return { what: `${path} is a link that leads to itself`, advice: "make the link anew, or name another file" };
    case "ENOTFILE":
    case "EISDIR":
      return { what: `${path} is not a file`, advice: "name a file" };
    case "ETOOLARGE":
      return { what: `${path} is too large for what it should be`, advice: "name the right file" };
    default:
      return { what: `${path} cannot be read (${String(code)})`, advice: "look at the file and its disk" };
  }
}
