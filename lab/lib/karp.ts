// A real karp daemon in a network namespace, run from the working tree.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Control, type ControlEvent } from "./control.ts";
import { Daemon, exec } from "./exec.ts";
import type { Lab } from "./lab.ts";
import type { RouterCredentials } from "./pki.ts";
import { GiveUpError, waitFor } from "./wait.ts";

export interface KarpOptions {
  readonly namespace: string;
  readonly router: string;
  readonly credentials: RouterCredentials;
  readonly session: KarpSession;
  /** The `rollover:` block, word by word. */
  readonly rollover: Readonly<Record<string, string>>;
}

export interface KarpSession {
  /** Also the name of the `protocol bgp` in bird.conf. */
  readonly name: string;
  readonly local: string;
  readonly remote: string;
  readonly peer: string;
  /** The words under `bird:`. */
  readonly bird: Readonly<Record<string, string>>;
}

export type Mode = "observe" | "opportunistic" | "required";

/** What this lab reads of a row of `karp show keys --json`. */
export interface KeyRow {
  readonly session: string;
  readonly state: string;
  readonly peerState: string;
  readonly fingerprint: string;
  readonly sendId: number;
  readonly recvId: number;
}

export class Karp {
  readonly options: KarpOptions;
  readonly control: Control;
  readonly log: string;
  readonly #lab: Lab;
  readonly #socket: string;
  readonly #file: string;
  #daemon: Daemon | undefined;

  constructor(lab: Lab, options: KarpOptions, mode: Mode) {
    const { namespace } = options;
    this.options = options;
    this.#lab = lab;
    this.#socket = `/run/${namespace}.karp/control.sock`;
    this.#file = `/etc/lab/${namespace}/karp.yaml`;
    this.log = join(lab.out, `${namespace}.karp.log`);
    this.control = new Control(this.#socket);
    mkdirSync(join(this.#file, ".."), { recursive: true });
    mkdirSync(join(this.#socket, ".."), { recursive: true });
    this.#write(mode);
    lab.defer(() => this.#daemon?.end("SIGKILL"));
  }

  /** Starts the daemon and waits until its control interface answers. */
  async start(): Promise<void> {
    const { namespace } = this.options;
    const program = join(this.#lab.repo, "packages/karpd/bin/karp.js");
    const command = ["node", program, "run", "--config", this.#file, "--log-level", "debug"];
    const daemon = new Daemon(`karp of ${namespace}`, command, this.log, { namespace, cwd: "/" });
    this.#daemon = daemon;
    await waitFor(
      `karp of ${namespace} to answer`,
      async () => {
        if (!daemon.isRunning()) throw new GiveUpError(`karp of ${namespace} ended:\n${daemon.logTail(40)}`);
        return await this.control.call("GET", "/v1/status");
      },
      { seconds: 60 },
    );
  }

  /** Writes the configuration anew with another mode and has it read. */
  async setMode(mode: Mode): Promise<void> {
    this.#write(mode);
    await this.control.call("POST", "/v1/reload", {});
  }

  async rekey(): Promise<void> {
    await this.control.call("POST", "/v1/rekey", { session: this.options.session.name });
  }

  async keys(): Promise<readonly KeyRow[]> {
    return (await this.control.call("GET", "/v1/keys")) as readonly KeyRow[];
  }

  async currentKey(): Promise<KeyRow | undefined> {
    return (await this.keys()).find(({ state }) => state === "current");
  }

  /** kill -9 at the first event that fits, at once. @returns a function that gives the event, once it has come */
  async killWhen(fits: (event: ControlEvent) => boolean): Promise<() => ControlEvent | undefined> {
    let found: ControlEvent | undefined;
    const stop = await this.control.follow((event) => {
      if (found !== undefined || !fits(event)) return;
      this.#daemon?.signal("SIGKILL");
      found = event;
    });
    this.#lab.defer(stop);
    return () => (this.#daemon?.isRunning() === false ? found : undefined);
  }

  /** What a person would see, into the output folder. */
  async saveViews(): Promise<void> {
    const program = join(this.#lab.repo, "packages/karpd/bin/karp.js");
    for (const what of ["peers", "sessions", "keys", "rollovers", "events"]) {
      const { stdout, stderr } = await exec(["node", program, "show", what, "--socket", this.#socket]);
      writeFileSync(join(this.#lab.out, `${this.options.namespace}.show-${what}.txt`), stdout + stderr);
    }
  }

  #write(mode: Mode): void {
    const { namespace, router, credentials, session, rollover } = this.options;
    const block = (words: Readonly<Record<string, string>>): string =>
      Object.entries(words)
        .map(([word, value]) => `${word}: ${JSON.stringify(value)}`)
        .join(", ");
    writeFileSync(
      this.#file,
      `router: ${router}
credentials:
  certificate: ${credentials.certificate}
  private-key: ${credentials.privateKey}
  trust: ${credentials.trust}
store: /var/lib/lab/${namespace}/store/keys.db
control: ${this.#socket}
sessions:
  ${session.name}:
    protocol: bgp
    driver: bird
    bird: { ${block(session.bird)} }
    local: ${session.local}
    remote: ${session.remote}
    peer: ${session.peer}
    mode: ${mode}
rollover: { ${block(rollover)} }
`,
    );
  }
}
