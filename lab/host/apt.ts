// Debian packages: installing on this machine, and reading Debian's unstable suite without touching this machine's sources.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { have, run } from "./exec.ts";

/** The suite that the root folder and the kernel source come from. */
export const SUITE = "sid";
/** Debian's archive keys, of the package debian-archive-keyring. */
export const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Can this process install packages here (root on a machine with apt)? */
export function canInstall(): boolean {
  return process.getuid?.() === 0 && have("apt-get");
}

/** Installs packages on this machine; says so first. @throws Error with apt's last lines. */
export async function install(packages: readonly string[], say: (line: string) => void): Promise<void> {
  say(`installing ${packages.join(" ")} with apt-get`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await run("apt-get", ["-qq", "update"], { env });
  await run("apt-get", ["-qq", "install", "-y", "--no-install-recommends", ...packages], { env });
}

/** The mirror to use: KARP_LAB_MIRROR, else the first Debian mirror of this machine, else deb.debian.org. */
export function mirror(): string {
  const chosen = process.env["KARP_LAB_MIRROR"];
  if (chosen) return chosen;
  for (const text of aptSources()) {
    const found = /^(?:URIs:|deb\s(?:.*\s)?)\s*(https?:\/\/\S+\/debian\/?)(?:\s|$)/m.exec(text)?.[1];
    if (found) return found;
  }
  return "http://deb.debian.org/debian";
}

function aptSources(): string[] {
  const parts = "/etc/apt/sources.list.d";
  const files = existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : [];
  return ["/etc/apt/sources.list", ...files]
    .filter((file) => existsSync(file))
    .map((file) => readFileSync(file, "utf8"));
}

/** One line of a sources.list for the suite, signed by Debian's own keyring. */
export function sourceLine(): string {
  return `deb [signed-by=${KEYRING}] ${mirror()} ${SUITE} main`;
}

/**
 * An apt of its own (lists, cache, sources) under `folder`, so that reading the suite changes nothing on this machine.
 * A mirror may be older than its Release file's Valid-Until, and apt as root may not write where _apt cannot read.
 */
export class PrivateApt {
  readonly #folder: string;
  readonly #options: readonly string[];

  constructor(folder: string) {
    this.#folder = folder;
    for (const part of ["lists/partial", "cache/archives/partial", "download"]) {
      mkdirSync(join(folder, part), { recursive: true });
    }
    const list = join(folder, "sources.list");
    writeFileSync(list, `${sourceLine()}\n`);
    const settings = {
      "Dir::Etc::sourcelist": list,
      "Dir::Etc::sourceparts": "/dev/null",
      "Dir::State::lists": join(folder, "lists"),
      "Dir::Cache": join(folder, "cache"),
      "Acquire::Check-Valid-Until": "false",
      "Acquire::Languages": "none",
      "APT::Sandbox::User": "root",
    };
    this.#options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  }

  async update(): Promise<void> {
    await run("apt-get", ["-qq", ...this.#options, "update"]);
  }

  /** Names of the packages that `name` depends on directly. */
  async depends(name: string): Promise<string[]> {
    const text = await run("apt-cache", [...this.#options, "depends", "--important", name]);
    return [...text.matchAll(/^\s+Depends: (\S+)$/gm)].flatMap((match) => match[1] ?? []);
  }

  /** Downloads packages; returns the paths of the .deb files in the order of `names`. */
  async download(names: readonly string[]): Promise<string[]> {
    const folder = join(this.#folder, "download");
    await run("apt-get", ["-qq", ...this.#options, "download", ...names], { cwd: folder });
    return names.map((name) => join(folder, this.#find(folder, name)));
  }

  #find(folder: string, name: string): string {
    const found = readdirSync(folder).filter((file) => file.startsWith(`${name}_`) && file.endsWith(".deb"));
    const last = found.sort().at(-1);
    if (last === undefined) throw new Error(`apt-get download ${name} left no file in ${folder}`);
    return last;
  }
}
