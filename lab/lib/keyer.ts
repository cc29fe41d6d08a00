// `karp keyer` in a network namespace, with no more capabilities than its systemd unit gives it.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Daemon } from "./exec.ts";
import type { Lab } from "./lab.ts";
import { GiveUpError, waitFor } from "./wait.ts";

/** As in packages/karpd/systemd/karp-keyer.service. */
const CAPABILITIES = "-all,+sys_ptrace,+net_admin,+dac_read_search";

export class Keyer {
  readonly namespace: string;
  readonly log: string;
  readonly socket: string;
  readonly #lab: Lab;
  #daemon: Daemon | undefined;

  constructor(lab: Lab, namespace: string) {
    this.namespace = namespace;
    this.#lab = lab;
    this.socket = `/run/${namespace}.keyer/keyer.sock`;
    this.log = join(lab.out, `${namespace}.keyer.log`);
    mkdirSync(join(this.socket, ".."), { recursive: true, mode: 0o750 });
    lab.defer(() => this.#daemon?.end("SIGKILL"));
  }

  /** A line of karp.yaml. */
  get line(): string {
    return `keyer: ${this.socket}`;
  }

  get pid(): number {
    if (this.#daemon === undefined) throw new Error("the keyer is not started");
    return this.#daemon.pid;
  }

  async start(configuration = `/etc/lab/${this.namespace}/karp.yaml`): Promise<void> {
    const { namespace } = this;
    const program = this.#lab.program;
    const confined = ["setpriv", "--bounding-set", CAPABILITIES, "--no-new-privs"];
    const command = [...confined, "node", program, "keyer", "--config", configuration, "--log-level", "debug"];
    const daemon = new Daemon(`keyer of ${namespace}`, command, this.log, { namespace, cwd: "/" });
    this.#daemon = daemon;
    await waitFor(
      `the keyer of ${namespace} to serve`,
      () => {
        if (!daemon.isRunning()) throw new GiveUpError(`the keyer of ${namespace} ended:\n${daemon.logTail(40)}`);
        return daemon.logTail(40).includes(`serves ${this.socket}`);
      },
      { seconds: 120 },
    );
  }

  isRunning(): boolean {
    return this.#daemon?.isRunning() === true;
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#daemon?.end(signal);
  }
}
