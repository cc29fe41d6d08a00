import { open, stat } from "node:fs/promises";
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
    return path === undefined ? undefined : this.#content(path, at);
  }

  /** The content of a file that only its owner (and perhaps a group) may read. */
  async readSecret(name: string, at: Path): Promise<Uint8Array | undefined> {
    const path = this.locate(name, at);
    if (path === undefined || !(await this.#isPrivate(path, at))) return undefined;
    return this.#content(path, at);
  }

  async #isPrivate(path: string, at: Path): Promise<boolean> {
    const status = await stat(path).catch(() => undefined);
    // What is not there is said when it is read.
    if (status === undefined || (status.mode & 0o027) === 0) return true;
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

  async #content(path: string, at: Path): Promise<Uint8Array | undefined> {
    this.#read.add(path);
    try {
      const octets = await readWhole(path);
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

async function readWhole(path: string): Promise<Uint8Array> {
  const handle = await open(path, "r");
  try {
    const status = await handle.stat();
    if (!status.isFile()) throw Object.assign(new Error("not a file"), { code: "ENOTFILE" });
    if (status.size > largestFile) throw Object.assign(new Error("too large"), { code: "ETOOLARGE" });
    return new Uint8Array(await handle.readFile());
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
    case "ENOTFILE":
    case "EISDIR":
      return { what: `${path} is not a file`, advice: "name a file" };
    case "ETOOLARGE":
      return { what: `${path} has more than a megabyte`, advice: "name the right file" };
    default:
      return { what: `${path} cannot be read (${String(code)})`, advice: "look at the file and its disk" };
  }
}
