// A real GoBGP, a static Go program, in a network namespace, driven as an operator does: gobgpd.toml and gobgp.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon, must } from "./exec.ts";
import type { Lab } from "./lab.ts";
import {
  type Peering,
  type RouterPlan,
  type RoutingDaemon,
  type SessionStatus,
  waitForRoutes,
} from "./routingDaemon.ts";
import { GiveUpError, waitFor } from "./wait.ts";

export interface GobgpOptions {
  /** Never opens the connection itself. Default: true. */
  readonly isPassive?: boolean;
  /** `driver: …` in karp.yaml; default gobgp. */
  readonly driver?: "gobgp" | "linux";
  /** Stands before gobgpd's own command line, for example `karp wrap --`. */
  readonly wrapper?: readonly string[];
}

/** Makers of GoBGPs for `setUpTwoRouters`. */
export function gobgp(options: GobgpOptions = {}): (lab: Lab, plan: RouterPlan) => Gobgp {
  return (lab, plan) => new Gobgp(lab, plan, options);
}

const ESTABLISHED = 6;

/** What this lab reads of `gobgp neighbor ADDRESS --json`. */
interface Neighbor {
  readonly state?: { readonly session_state?: number };
  readonly timers?: { readonly state?: { readonly uptime?: { readonly seconds?: number } } };
  readonly afi_safis?: readonly {
    readonly state?: { readonly accepted?: number; readonly advertised?: number };
  }[];
}

export class Gobgp implements RoutingDaemon {
  readonly namespace: string;
  readonly peering: Peering;
  readonly configuration: string;
  readonly #lab: Lab;
  readonly #plan: RouterPlan;
  readonly #options: GobgpOptions;
  #daemon: Daemon | undefined;

  constructor(lab: Lab, plan: RouterPlan, options: GobgpOptions) {
    this.namespace = plan.namespace;
    this.peering = plan.peering;
    this.#lab = lab;
    this.#plan = plan;
    this.#options = options;
    this.configuration = `/etc/lab/${plan.namespace}/gobgpd.toml`;
    mkdirSync(join(this.configuration, ".."), { recursive: true });
    writeFileSync(this.configuration, configuration(plan, options));
    lab.defer(() => this.#daemon?.end("SIGKILL"));
  }

  get pid(): number {
    if (this.#daemon === undefined) throw new Error("gobgpd is not started");
    return this.#daemon.pid;
  }

  get driverWords(): readonly string[] {
    return [`driver: ${this.#options.driver ?? "gobgp"}`];
  }

  async start(): Promise<void> {
    const { namespace } = this;
    const own = ["gobgpd", "--config-file", this.configuration, "--log-level", "debug", "--pprof-disable"];
    const command = [...(this.#options.wrapper ?? []), ...own];
    const daemon = new Daemon(`gobgpd of ${namespace}`, command, join(this.#lab.out, `${namespace}.gobgpd.log`), {
      namespace,
    });
    this.#daemon = daemon;
    const answers = async (): Promise<string> => {
      if (!daemon.isRunning()) throw new GiveUpError(`gobgpd of ${namespace} ended:\n${daemon.logTail()}`);
      return await this.#gobgp("global");
    };
    await waitFor(`gobgpd of ${namespace} to answer`, answers, { seconds: 60 });
    for (const route of this.#plan.routes) await this.#gobgp("global", "rib", "add", route);
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#daemon?.end(signal);
  }

  async status(): Promise<SessionStatus> {
    const {
      state,
      timers,
      afi_safis: families,
    } = JSON.parse(await this.#gobgp("neighbor", this.peering.remote, "--json")) as Neighbor;
    const seconds = timers?.state?.uptime?.seconds;
    const family = families?.[0]?.state;
    const isUp = state?.session_state === ESTABLISHED;
    return {
      since: seconds === undefined ? "" : new Date(seconds * 1000).toISOString().replace("T", " ").replace("Z", ""),
      info: isUp ? "Established" : `session state ${state?.session_state}`,
      routes: family && { imported: family.accepted ?? 0, exported: family.advertised ?? 0 },
    };
  }

  waitEstablished(routes: number, seconds?: number): Promise<SessionStatus> {
    return waitForRoutes(this, routes, seconds);
  }

  #gobgp(...words: string[]): Promise<string> {
    return must(["gobgp", ...words], { namespace: this.namespace });
  }
}

function configuration({ routerId, peering }: RouterPlan, { isPassive = true }: GobgpOptions): string {
  const { local, localAs, remote, remoteAs } = peering;
  return `[global.config]
  as = ${localAs}
  router-id = "${routerId}"
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${remote}"
    peer-as = ${remoteAs}
  [neighbors.transport.config]
    local-address = "${local}"
    passive-mode = ${isPassive}
  [neighbors.timers.config]
    connect-retry = 2
    hold-time = 9
    keepalive-interval = 1
    idle-hold-time-after-reset = 2
`;
}
