// The pages of the guide, executed: what stands on a page is what runs, so that no page can rot.
//
// The language of a fenced block says what it is. `sh`: typed into a shell on the router, one command a line. Another
// language: a file or a part of one. None: what a program prints, only shown. A scenario that names a page in `shows` has
// to execute each command and to run with each file; what it leaves over fails it (guest/main.ts).
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "./exec.ts";
import type { Lab } from "./lab.ts";

interface Block {
  readonly language: string;
  readonly lines: readonly string[];
}

const pagesOf = new WeakMap<Lab, Map<string, GuidePage>>();

/** The page `docs/guide/NAME`, for this scenario. */
export function guidePage(lab: Lab, name: string): GuidePage {
  const pages = pagesOf.get(lab) ?? new Map<string, GuidePage>();
  pagesOf.set(lab, pages);
  const page = pages.get(name) ?? new GuidePage(lab, name);
  pages.set(name, page);
  return page;
}

export class GuidePage {
  readonly #lab: Lab;
  readonly #name: string;
  readonly #text: string;
  readonly #blocks: readonly Block[];
  /** Commands, and blocks of other languages as a whole, that are still to be shown. */
  readonly #left: Set<string>;

  constructor(lab: Lab, name: string) {
    this.#lab = lab;
    this.#name = name;
    this.#text = readFileSync(join(lab.repo, "docs/guide", name), "utf8");
    this.#blocks = blocksOf(this.#text);
    this.#left = new Set(
      this.#blocks.flatMap(({ language, lines }) => (language === "sh" ? commandsOf(lines) : [lines.join("\n")])),
    );
  }

  /** Types one of the page's commands on a router, where `karp` knows its configuration. @returns what it printed */
  async run(command: string, namespace: string): Promise<string> {
    return await this.does(command, () => must(onRouter(this.#lab, namespace, command), { namespace }));
  }

  /** For a command that the scenario carries out in another way, because the guest has no such thing (systemd). */
  async does<T>(command: string, action: () => T | Promise<T>): Promise<T> {
    const isThere = this.#blocks.some(
      ({ language, lines }) => language === "sh" && commandsOf(lines).includes(command),
    );
    if (!isThere) throw new Error(`docs/guide/${this.#name} has no command: ${command}`);
    const done = await action();
    this.#left.delete(command);
    return done;
  }

  /** Asserts that each line of the page's block of this language, or of the one that holds `part`, stands in a file. */
  standsIn(file: string, language: string, part = ""): void {
    const own = new Set(readFileSync(file, "utf8").split("\n").map(bare));
    const missing = this.lines(language, part).filter((line) => !own.has(bare(line)));
    this.#lab.equal(`docs/guide/${this.#name}: what ${file} lacks of the ${language} there`, missing, []);
  }

  /** The lines of a block, for a scenario that types or writes them itself. */
  lines(language: string, part = ""): readonly string[] {
    const block = this.#blocks.find((one) => one.language === language && one.lines.join("\n").includes(part));
    if (block === undefined) throw new Error(`docs/guide/${this.#name} has no block of ${language} with "${part}"`);
    this.#left.delete(block.lines.join("\n"));
    return block.lines;
  }

  /** Words that the page has `so` in its text, so that what the scenario does is what the page says. */
  quoted(words: string): string {
    if (!this.#text.includes(`\`${words}\``)) throw new Error(`docs/guide/${this.#name} does not say \`${words}\``);
    return words;
  }

  assertShown(): void {
    this.#lab.equal(`docs/guide/${this.#name}: what was not executed of it`, [...this.#left], []);
  }
}

/** @returns a command for `must`, with the router's own configuration where `karp` looks for one */
export function onRouter(lab: Lab, namespace: string, command: string): readonly string[] {
  const program = "/usr/local/bin/karp";
  if (!existsSync(program)) {
    mkdirSync(join(program, ".."), { recursive: true });
    writeFileSync(program, `#!/bin/sh\nexec node ${lab.program} "$@"\n`, { mode: 0o755 });
  }
  const places = [`KARP_CONFIG=/etc/lab/${namespace}/karp.yaml`, `KARP_SOCKET=/run/${namespace}.karp/control.sock`];
  const shell = ["env", ...places, "sh", "-c"];
  return command.startsWith("vtysh ") ? inOwnPathspace(namespace, [...shell, command]) : [...shell, command];
}

/** vtysh on a router that is alone on its machine knows no pathspace: there, its folders have the usual names. */
function inOwnPathspace(namespace: string, command: readonly string[]): readonly string[] {
  const mounts = ["/etc/frr", "/run/frr"].map((folder) => `mount --bind ${folder}/${namespace} ${folder}`);
  return ["unshare", "--mount", "sh", "-c", `${mounts.join(" && ")} && exec "$@"`, "sh", ...command];
}

/** Blocks that say a language. */
function blocksOf(text: string): readonly Block[] {
  return Array.from(text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm), ([, language = "", body = ""]) => ({
    language,
    lines: body.trimEnd().split("\n"),
  }));
}

/** Without comments; a line that ends in a backslash goes on in the next one. */
function commandsOf(lines: readonly string[]): readonly string[] {
  const whole = lines
    .join("\n")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n");
  return whole.map((line) => line.replace(/(^|\s+)#.*$/, "").trim()).filter((line) => line !== "");
}

/** Indentation and comments are the page's own. */
function bare(line: string): string {
  return line.replace(/\s+#.*$/, "").trim();
}
