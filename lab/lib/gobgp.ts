// GoBGP, a static Go program, under `karp wrap`.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon, must } from "./exec.ts";
import type { Lab } from "./lab.ts";
import type { Peering, RouterPlan, RoutingDaemon, SessionStatus } from "./routingDaemon.ts";
import type { DaemonMaker } from "./twoRouters.ts";
import { GiveUpError, waitFor } from "./wait.ts";
import { wrappedPid, wrapper } from "./wrap.ts";

export function wrappedGobgp(): DaemonMaker<WrappedGobgp> {
  return (lab, plan) => new WrappedGobgp(lab, plan);
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

export class WrappedGobgp implements RoutingDaemon {
  readonly namespace: string;
  readonly peering: Peering;
  readonly driverWords = ["driver: linux"];
  readonly #lab: Lab;
  readonly #plan: RouterPlan;
  readonly #file: string;
  #supervisor: Daemon | undefined;

  constructor(lab: Lab, plan: RouterPlan) {
    this.namespace = plan.namespace;
    this.peering = plan.peering;
    this.#lab = lab;
    this.#plan = plan;
    this.#file = `/etc/lab/${plan.namespace}/gobgpd.toml`;
    mkdirSync(join(this.#file, ".."), { recursive: true });
    writeFileSync(this.#file, configuration(plan));
    lab.defer(() => this.#supervisor?.end("SIGKILL"));
  }

  get pid(): number {
    if (this.#supervisor === undefined) throw new Error("gobgpd is not started");
    return wrappedPid(this.#supervisor.pid);
  }

  async start(): Promise<void> {
    const { namespace } = this;
    const own = ["gobgpd", "--config-file", this.#file, "--log-level", "debug", "--pprof-disable"];
    const command = [...wrapper(this.#lab, namespace), ...own];
    const daemon = new Daemon(`gobgpd of ${namespace}`, command, join(this.#lab.out, `${namespace}.gobgpd.log`), {
      namespace,
    });
    this.#supervisor = daemon;
    const answers = async (): Promise<string> => {
      if (!daemon.isRunning()) throw new GiveUpError(`gobgpd of ${namespace} ended:\n${daemon.logTail()}`);
      return await this.#gobgp("global");
    };
    await waitFor(`gobgpd of ${namespace} to answer`, answers, { seconds: 60 });
    for (const route of this.#plan.routes) await this.#gobgp("global", "rib", "add", route);
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#supervisor?.end(signal);
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

  async waitEstablished(routes: number, seconds = 60): Promise<SessionStatus> {
    const up = async (): Promise<SessionStatus> => {
      const status = await this.status();
      if (status.info !== "Established") throw new Error(status.info);
      if (status.routes?.imported === routes && status.routes.exported === routes) return status;
      throw new Error(JSON.stringify(status.routes));
    };
    return await waitFor(`${this.namespace}'s session with ${routes} routes`, up, { seconds });
  }

  #gobgp(...words: string[]): Promise<string> {
    return must(["gobgp", ...words], { namespace: this.namespace });
  }
}

function configuration({ routerId, peering }: RouterPlan): string {
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
  [neighbors.timers.config]
    connect-retry = 2
    hold-time = 9
    keepalive-interval = 1
    idle-hold-time-after-reset = 2
`;
}
