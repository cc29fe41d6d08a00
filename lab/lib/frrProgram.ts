// One of FRR's routing daemons in a network namespace, with the zebra and mgmtd that it needs, driven by frr.conf and vtysh.
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon, exec, must } from "./exec.ts";
import type { Lab } from "./lab.ts";
import { GiveUpError, waitFor } from "./wait.ts";

export interface FrrProgramOptions {
  /** Also FRR's pathspace (`-N`). */
  readonly namespace: string;
  readonly program: "bgpd" | "ldpd" | "pimd";
  readonly arguments?: readonly string[];
  /** frr.conf, after `log file`. */
  readonly configuration: string;
  /** A line of the configuration that shows that the program has taken it. */
  readonly isTakenWith: string;
  /** Stands before the program's own command line, for example `karp wrap --`. */
  readonly wrapper?: readonly string[];
}

const PROGRAMS = "/usr/lib/frr";

export class FrrProgram {
  readonly #lab: Lab;
  readonly #options: FrrProgramOptions;
  readonly #others: Daemon[] = [];
  #own: Daemon | undefined;

  constructor(lab: Lab, options: FrrProgramOptions) {
    this.#lab = lab;
    this.#options = options;
    const { namespace, configuration } = options;
    for (const folder of [`/etc/frr/${namespace}`, `/var/run/frr/${namespace}`, "/var/tmp/frr"]) {
      mkdirSync(folder, { recursive: true });
    }
    writeFileSync(`/etc/frr/${namespace}/vtysh.conf`, "");
    // The output folder is root's, FRR writes as its own user
    writeFileSync(this.log, "");
    chmodSync(this.log, 0o666);
    writeFileSync(this.configurationFile, `log file ${this.log} debugging\n${configuration}`);
    lab.defer(async () => {
      for (const daemon of [this.#own, ...this.#others]) await daemon?.end("SIGKILL");
    });
  }

  get configurationFile(): string {
    return `/etc/frr/${this.#options.namespace}/frr.conf`;
  }

  get log(): string {
    return join(this.#lab.out, `${this.#options.namespace}.frr.log`);
  }

  get pid(): number {
    if (this.#own === undefined) throw new Error(`${this.#options.program} is not started`);
    return this.#own.pid;
  }

  async start(): Promise<void> {
    if (this.#others.length === 0) {
      await giveToFrr();
      for (const program of ["zebra", "mgmtd"]) this.#others.push(this.#spawn(program, []));
    }
    const { program, arguments: more = [], wrapper } = this.#options;
    this.#own = this.#spawn(program, more, wrapper);
    await this.#configure(this.#own);
  }

  /** The program alone; zebra and mgmtd stay. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#own?.end(signal);
  }

  /** Commands of vtysh, one after the other. */
  async vtysh(...commands: string[]): Promise<string> {
    const { namespace } = this.#options;
    const words = commands.flatMap((command) => ["-c", command]);
    return await must(["vtysh", "-N", namespace, ...words], { namespace });
  }

  #spawn(program: string, more: readonly string[], wrapper: readonly string[] = []): Daemon {
    const { namespace } = this.#options;
    const own = [join(PROGRAMS, program), "-N", namespace, ...more, "-i", `/var/run/frr/${namespace}/${program}.pid`];
    const log = join(this.#lab.out, `${namespace}.${program}.log`);
    return new Daemon(`${program} of ${namespace}`, [...wrapper, ...own], log, { namespace });
  }

  async #configure(own: Daemon): Promise<void> {
    const { namespace, program, isTakenWith } = this.#options;
    const done = async (): Promise<boolean> => {
      if (!own.isRunning()) throw new GiveUpError(`${own.name} ended:\n${own.logTail()}`);
      await exec(["vtysh", "-N", namespace, "-b"], { namespace });
      return (await this.vtysh(`show running-config ${program}`)).includes(isTakenWith);
    };
    await waitFor(`${own.name} to take its configuration`, done, { seconds: 120 });
  }
}

/** FRR's daemons give up root for the user frr. */
async function giveToFrr(): Promise<void> {
  mkdirSync("/run/frr", { recursive: true });
  await must(["chown", "-R", "frr:frr", "/etc/frr", "/var/run/frr", "/run/frr", "/var/tmp/frr"]);
}
