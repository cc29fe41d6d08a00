// The real daemon, `karp run`, as its users start it.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { Charon } from "./charon.ts";
import { until } from "./wait.ts";

const KARP = fileURLToPath(new URL("../../packages/karpd/bin/karp.js", import.meta.url));

/** What `karp show peers --json` says of charon, as far as it matters here. */
export interface ShownPeer {
  readonly ikeSa: string;
  readonly role?: string;
  readonly suite?: string;
  readonly speaksKarp?: boolean;
  readonly lastFailure?: { readonly text: string };
}

export interface DaemonSite {
  readonly charon: Charon;
  readonly address: string;
  readonly identity: string;
}

export class KarpDaemon {
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  #log = "";

  /** `session`: more words of its only session; `files`: what lies beside the configuration; `top`: words of the file. */
  static async run(
    t: TestContext,
    { charon, address, identity }: DaemonSite,
    words: {
      readonly session: Readonly<Record<string, unknown>>;
      readonly top?: Readonly<Record<string, unknown>>;
      readonly files: Readonly<Record<string, string>>;
    },
  ): Promise<KarpDaemon> {
    const folder = mkdtempSync(join(tmpdir(), "karp-interop-"));
    for (const [name, content] of Object.entries(words.files))
      writeFileSync(join(folder, name), content, { mode: 0o600 });
    const configuration = {
      router: identity,
      listen: [`${address}:500`, `${address}:4500`],
      store: join(folder, "keys.db"),
      control: join(folder, "karp.sock"),
      sessions: {
        r2: {
          driver: "keychain",
          keychain: { file: join(folder, "keys.json") },
          mode: "observe",
          local: address,
          remote: charon.address,
          ...words.session,
        },
      },
      ...words.top,
    };
    // JSON is YAML
    writeFileSync(join(folder, "karp.yaml"), JSON.stringify(configuration));
    const daemon = new KarpDaemon(folder);
    t.after(() => daemon.stop());
    await until(
      () => daemon.#process.exitCode !== null || daemon.#show("peers") !== undefined,
      () => `karp run does not answer:\n${daemon.log}`,
      20,
    );
    return daemon;
  }

  private constructor(folder: string) {
    this.#folder = folder;
    const args = [KARP, "run", "--config", join(folder, "karp.yaml"), "--log-level", "debug"];
    this.#process = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#ended = new Promise((resolve) => this.#process.once("close", resolve));
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#log += text;
      });
    }
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get log(): string {
    return this.#log;
  }

  /** Until `karp show peers --json` shows charon like this. */
  async shows(isIt: (peer: ShownPeer) => boolean): Promise<ShownPeer> {
    return await until(
      () => (this.#show("peers") as readonly ShownPeer[] | undefined)?.find(isIt),
      () => `karp show peers: ${JSON.stringify(this.#show("peers"))}\n${this.log}`,
      15,
    );
  }

  /** Until the daemon's log has this. */
  async said(pattern: RegExp): Promise<void> {
    await until(
      () => pattern.test(this.#log),
      () => `karp never said ${pattern}:\n${this.log}`,
      15,
    );
  }

  #show(what: string): unknown {
    const control = join(this.#folder, "karp.sock");
    const done = spawnSync(process.execPath, [KARP, "show", what, "--json", "--socket", control], { encoding: "utf8" });
    return done.status === 0 ? JSON.parse(done.stdout) : undefined;
  }
}
