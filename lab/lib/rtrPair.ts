// One end of the RTR-like pair of rtrPair.py.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon } from "./exec.ts";
import type { Lab } from "./lab.ts";
import type { Peering, RouterPlan, RoutingDaemon, SessionStatus } from "./routingDaemon.ts";
import type { DaemonMaker } from "./twoRouters.ts";
import { waitFor } from "./wait.ts";
import { wrappedPid, wrapper } from "./wrap.ts";

export const RTR_PORT = 323;

export interface RtrEndOptions {
  /** IPv4 through IPv6 sockets: the server listens on [::] for both, the client connects to ::ffff:A.B.C.D. */
  readonly isMapped?: boolean;
  /** Of the client, all at once; default 1. */
  readonly connections?: number;
}

/** The client runs under `karp wrap`; the server only listens. */
export function rtrEnd(role: "client" | "server", options: RtrEndOptions = {}): DaemonMaker<RtrEnd> {
  return (lab, plan) => new RtrEnd(lab, plan, role, options);
}

export class RtrEnd implements RoutingDaemon {
  readonly namespace: string;
  readonly peering: Peering;
  readonly driverWords = ["driver: linux", "protocol: rpki-rtr"];
  readonly #lab: Lab;
  readonly #role: "client" | "server";
  readonly #options: RtrEndOptions;
  readonly #file: string;
  #daemon: Daemon | undefined;

  constructor(lab: Lab, plan: RouterPlan, role: "client" | "server", options: RtrEndOptions) {
    this.namespace = plan.namespace;
    this.peering = plan.peering;
    this.#lab = lab;
    this.#role = role;
    this.#options = options;
    this.#file = `/run/${plan.namespace}.rtr.json`;
    lab.defer(() => this.#daemon?.end("SIGKILL"));
  }

  get pid(): number {
    if (this.#daemon === undefined) throw new Error("the RTR end is not started");
    return this.#role === "client" ? wrappedPid(this.#daemon.pid) : this.#daemon.pid;
  }

  async start(): Promise<void> {
    const { namespace, peering } = this;
    const { isMapped = false, connections = 1 } = this.#options;
    const plain = this.#role === "client" ? peering.remote : peering.local;
    const mapped = this.#role === "client" ? `::ffff:${plain}` : "::";
    const address = isMapped ? mapped : plain;
    const more = this.#role === "client" ? [String(connections)] : [];
    const program = join(this.#lab.repo, "lab/lib/rtrPair.py");
    const own = ["python3", "-B", program, this.#role, address, String(RTR_PORT), this.#file, ...more];
    const command = this.#role === "client" ? [...wrapper(this.#lab, namespace), ...own] : own;
    const log = join(this.#lab.out, `${namespace}.rtr.log`);
    this.#daemon = new Daemon(`RTR ${this.#role} of ${namespace}`, command, log, { namespace });
    await waitFor(`the RTR ${this.#role} to begin`, () => this.status(), { seconds: 120 });
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#daemon?.end(signal);
  }

  /** A server closes its listener and opens another; a client opens one connection more. */
  again(): void {
    process.kill(this.pid, "SIGUSR1");
  }

  /** How many are up. */
  connections(): number {
    return this.#read().connections;
  }

  async status(): Promise<SessionStatus> {
    const { since, count } = this.#read();
    return {
      since: new Date(since * 1000).toISOString().replace("T", " ").replace("Z", ""),
      info: count > 0 ? "Established" : "waiting",
      routes: { imported: 0, exported: 0 },
    };
  }

  async waitEstablished(_routes: number, seconds = 60): Promise<SessionStatus> {
    const up = async (): Promise<SessionStatus | undefined> => {
      const status = await this.status();
      return status.info === "Established" ? status : undefined;
    };
    return await waitFor(`${this.namespace}'s RTR connection`, up, { seconds });
  }

  #read(): { readonly since: number; readonly count: number; readonly connections: number } {
    return JSON.parse(readFileSync(this.#file, "utf8"));
  }
}
