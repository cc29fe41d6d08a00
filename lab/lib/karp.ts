// A real karp daemon in a network namespace, run from the working tree.
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Control, type ControlEvent } from "./control.ts";
import { Daemon, type ExecResult, exec } from "./exec.ts";
import type { Lab } from "./lab.ts";
import type { RouterCredentials } from "./pki.ts";
import { GiveUpError, waitFor } from "./wait.ts";

export interface KarpOptions {
  readonly namespace: string;
  readonly router: string;
  /** Absent: the sessions have pre-shared keys. */
  readonly credentials: RouterCredentials | undefined;
  /** The first one is what `rekey`, `keys` and `setMode` are about. */
  readonly sessions: readonly [KarpSession, ...KarpSession[]];
  /** The `rollover:` block, word by word. */
  readonly rollover: Words;
  /** More lines at the top of karp.yaml. */
  readonly topLines?: readonly string[];
  /** bin/karp.js of another karp than the working tree's. */
  readonly program?: string;
  /** For node itself, for example `--import=FILE`. */
  readonly nodeArguments?: readonly string[];
}

export type Words = Readonly<Record<string, string>>;

export interface KarpSession {
  readonly name: string;
  readonly local: string;
  readonly remote: string;
  readonly peer: string;
  /** Of this session alone; default: that of the karp. */
  readonly mode?: Mode;
  /** Lines of the session without their indentation: `driver: …`, its block, `psk-file: …`, whatever the schema has. */
  readonly lines: readonly string[];
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

/** What this lab reads of a row of `karp show sessions --json`. */
export interface SessionRow {
  readonly session: string;
  readonly safe: boolean;
  readonly safety: string;
  readonly rollover: {
    readonly step: string;
    readonly waitingFor?: { readonly whom: string; readonly reason: string };
    readonly completed: number;
    readonly nextCommand?: string;
  };
}

export class Karp {
  readonly options: KarpOptions;
  readonly control: Control;
  readonly log: string;
  readonly file: string;
  readonly store: string;
  readonly socket: string;
  readonly #lab: Lab;
  #program: string;
  #mode: Mode;
  #rollover: Words;
  #lines: readonly string[] = [];
  #daemon: Daemon | undefined;

  constructor(lab: Lab, options: KarpOptions, mode: Mode) {
    const { namespace, program } = options;
    this.options = options;
    this.#lab = lab;
    this.#program = program ?? lab.program;
    this.#mode = mode;
    this.#rollover = options.rollover;
    this.socket = `/run/${namespace}.karp/control.sock`;
    this.file = `/etc/lab/${namespace}/karp.yaml`;
    this.store = `/var/lib/lab/${namespace}/store/keys.db`;
    this.log = join(lab.out, `${namespace}.karp.log`);
    this.control = new Control(this.socket);
    mkdirSync(dirname(this.file), { recursive: true });
    mkdirSync(dirname(this.socket), { recursive: true });
    this.#write();
    lab.defer(() => this.#daemon?.end("SIGKILL"));
  }

  get session(): KarpSession {
    return this.options.sessions[0];
  }

  isRunning(): boolean {
    return this.#daemon?.isRunning() === true;
  }

  /** Starts the daemon and waits until its control interface answers. */
  async start(): Promise<void> {
    const { namespace, nodeArguments = [] } = this.options;
    const command = ["node", ...nodeArguments, this.#program, "run", "--config", this.file, "--log-level", "debug"];
    const daemon = new Daemon(`karp of ${namespace}`, command, this.log, { namespace, cwd: "/" });
    this.#daemon = daemon;
    await waitFor(
      `karp of ${namespace} to answer`,
      async () => {
        if (!daemon.isRunning()) throw new GiveUpError(`karp of ${namespace} ended:\n${daemon.logTail(40)}`);
        return await this.control.call("GET", "/v1/status");
      },
      { seconds: 180 },
    );
  }

  /** SIGKILL is a crash, SIGTERM an orderly end. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#daemon?.end(signal, 20);
  }

  /** From the next start on it is this program: bin/karp.js of another karp, or the working tree's. */
  replaceProgram(program?: string): void {
    this.#program = program ?? this.#lab.program;
  }

  /** Writes the configuration anew with another mode and has it read. */
  async setMode(mode: Mode): Promise<void> {
    this.#mode = mode;
    this.#write();
    await this.control.call("POST", "/v1/reload", {});
  }

  /** Writes the configuration anew with other words of `rollover:`; a daemon that runs reads it. */
  async setRollover(words: Words): Promise<void> {
    this.#rollover = { ...this.#rollover, ...words };
    this.#write();
    if (this.isRunning()) await this.control.call("POST", "/v1/reload", {});
  }

  /** Lines of the first session beside those that it has from the start; a daemon that runs reads them. */
  async setLines(lines: readonly string[]): Promise<void> {
    this.#lines = lines;
    this.#write();
    if (this.isRunning()) await this.control.call("POST", "/v1/reload", {});
  }

  async rekey(session = this.session.name): Promise<void> {
    await this.control.call("POST", "/v1/rekey", { session });
  }

  /** All keys of one session. */
  async keys(session = this.session.name): Promise<readonly KeyRow[]> {
    const rows = (await this.control.call("GET", "/v1/keys")) as readonly KeyRow[];
    return rows.filter((row) => row.session === session);
  }

  async currentKey(session = this.session.name): Promise<KeyRow | undefined> {
    return (await this.keys(session)).find(({ state }) => state === "current");
  }

  async sessionRow(session = this.session.name): Promise<SessionRow> {
    const rows = (await this.control.call("GET", "/v1/sessions")) as readonly SessionRow[];
    const row = rows.find((one) => one.session === session);
    if (row === undefined) throw new Error(`karp shows no session ${session}`);
    return row;
  }

  /** What happened so far, oldest first. */
  async events(): Promise<readonly ControlEvent[]> {
    return (await this.control.call("GET", "/v1/events?limit=1000")) as readonly ControlEvent[];
  }

  /** Waits for an event of this start of the daemon that fits, also one that has been. */
  waitEvent(what: string, fits: (event: ControlEvent) => boolean, seconds = 60): Promise<ControlEvent> {
    const find = async (): Promise<ControlEvent | undefined> => (await this.events()).find(fits);
    return waitFor(`${this.options.namespace}'s karp to say: ${what}`, find, { seconds });
  }

  /** One command of the command line, as a person types it. */
  cli(...words: string[]): Promise<ExecResult> {
    const { namespace } = this.options;
    return exec(["node", this.#program, ...words], { namespace, cwd: "/" });
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

  /** What happened, into the output folder; where something is wrong, also all that a person would look at. */
  async saveViews(): Promise<void> {
    if (!this.isRunning()) return;
    const { namespace } = this.options;
    writeFileSync(join(this.#lab.out, `${namespace}.events.json`), JSON.stringify(await this.events(), undefined, 1));
    if (!this.#lab.hasFailed) return;
    for (const what of ["peers", "sessions", "keys", "rollovers", "events"]) {
      const { stdout, stderr } = await this.cli("show", what, "--socket", this.socket);
      writeFileSync(join(this.#lab.out, `${namespace}.show-${what}.txt`), stdout + stderr);
    }
  }

  #write(): void {
    const [first, ...others] = this.options.sessions;
    const sessions = [{ ...first, lines: [...first.lines, ...this.#lines] }, ...others] as const;
    const files = { store: this.store, control: this.socket };
    writeFileSync(this.file, karpYaml({ ...this.options, sessions, rollover: this.#rollover }, files, this.#mode));
  }
}

function karpYaml(options: KarpOptions, files: Words, mode: Mode): string {
  const { router, credentials, sessions, rollover, topLines = [] } = options;
  const names = credentials && {
    certificate: credentials.certificate,
    "private-key": credentials.privateKey,
    trust: credentials.trust,
  };
  const session = ({ name, local, remote, peer, mode: own = mode, lines }: KarpSession): string[] => [
    `  ${name}:`,
    ...[`local: ${local}`, `remote: ${remote}`, `peer: ${peer}`, `mode: ${own}`, ...lines].map((line) => `    ${line}`),
  ];
  const lines = [
    `router: ${router}`,
    ...(names === undefined ? [] : [`credentials: ${JSON.stringify(names)}`]),
    ...Object.entries(files).map(([word, value]) => `${word}: ${value}`),
    ...topLines,
    `rollover: ${JSON.stringify(rollover)}`,
    "sessions:",
    ...sessions.flatMap(session),
  ];
  return `${lines.join("\n")}\n`;
}

/** Writes a pre-shared key as karp wants it. */
export function writePsk(file: string, secret: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  chmodSync(file, 0o600);
}
