// A real OpenBGPD in a network namespace, driven as an operator does: bgpd.conf and bgpctl. One a guest: its control
// socket has one place.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon, must } from "./exec.ts";
import type { Lab } from "./lab.ts";
import { processBelow } from "./processes.ts";
import {
  type Peering,
  type RouterPlan,
  type RoutingDaemon,
  type SessionStatus,
  waitForRoutes,
} from "./routingDaemon.ts";
import { SteadySince } from "./steadySince.ts";
import { GiveUpError, waitFor } from "./wait.ts";

export const OPENBGPD_CONFIGURATION = "/etc/bgpd.conf";

/** Makers of OpenBGPDs for `setUpTwoRouters`, which wait for the neighbour to connect. */
export function openbgpd(): (lab: Lab, plan: RouterPlan) => OpenBgpd {
  return (lab, plan) => new OpenBgpd(lab, plan);
}

/** What this lab reads of `bgpctl -j show neighbor`. */
interface Neighbor {
  readonly state: string;
  readonly last_updown_sec: number;
  readonly stats: {
    readonly prefixes: { readonly sent: number; readonly received: number };
    readonly message: { readonly sent: { readonly open: number } };
  };
}

export class OpenBgpd implements RoutingDaemon {
  readonly namespace: string;
  readonly peering: Peering;
  readonly driverWords = ["driver: linux"];
  readonly #lab: Lab;
  readonly #plan: RouterPlan;
  readonly #since = new SteadySince();
  #daemon: Daemon | undefined;

  constructor(lab: Lab, plan: RouterPlan) {
    this.namespace = plan.namespace;
    this.peering = plan.peering;
    this.#lab = lab;
    this.#plan = plan;
    this.writeConfiguration({ isPassive: true });
    mkdirSync("/run/openbgpd", { recursive: true });
    lab.defer(() => this.#daemon?.end("SIGKILL"));
  }

  /** The session engine: the listeners are made by its parent, which is root, and handed to it; connections are its own. */
  get pid(): number {
    return processBelow(this.#running.pid, "-S");
  }

  get #running(): Daemon {
    if (this.#daemon === undefined) throw new Error("OpenBGPD is not started");
    return this.#daemon;
  }

  start(): Promise<void> {
    return this.startAs(["/usr/sbin/bgpd", "-d"]);
  }

  /** Starts it by this command, which stays in the foreground. */
  async startAs(command: readonly string[]): Promise<void> {
    const { namespace } = this;
    this.#since.clear();
    const log = join(this.#lab.out, `${namespace}.bgpd.log`);
    const daemon = new Daemon(`OpenBGPD of ${namespace}`, command, log, { namespace });
    this.#daemon = daemon;
    const answers = async (): Promise<SessionStatus> => {
      if (!daemon.isRunning()) throw new GiveUpError(`OpenBGPD of ${namespace} ended:\n${daemon.logTail()}`);
      return await this.status();
    };
    await waitFor(`OpenBGPD of ${namespace} to answer`, answers, { seconds: 30 });
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#running.end(signal);
  }

  async status(): Promise<SessionStatus> {
    const { remote } = this.peering;
    const askedAt = Date.now();
    const text = await must(["bgpctl", "-j", "show", "neighbor", remote], { namespace: this.namespace });
    const neighbor = (JSON.parse(text) as { readonly neighbors: readonly Neighbor[] }).neighbors[0];
    if (neighbor === undefined) throw new Error(`OpenBGPD has no neighbor ${remote}`);
    const { prefixes, message } = neighbor.stats;
    return {
      since: this.#since.textOfAge(message.sent.open, neighbor.last_updown_sec, askedAt),
      info: neighbor.state,
      routes: { imported: prefixes.received, exported: prefixes.sent },
    };
  }

  waitEstablished(routes: number, seconds?: number): Promise<SessionStatus> {
    return waitForRoutes(this, routes, seconds);
  }

  /** For the next start, or for `bgpctl reload`. */
  writeConfiguration({ isPassive }: { readonly isPassive: boolean }): void {
    writeFileSync(OPENBGPD_CONFIGURATION, configuration(this.#plan, isPassive), { mode: 0o600 });
  }
}

function configuration({ routerId, peering, routes }: RouterPlan, isPassive: boolean): string {
  const { localAs, local, remote, remoteAs } = peering;
  return `AS ${localAs}
router-id ${routerId}
fib-update no
holdtime 9
connect-retry 2
${routes.map((route) => `network ${route}`).join("\n")}
neighbor ${remote} {
	remote-as ${remoteAs}
	local-address ${local}
${isPassive ? "\tpassive\n" : ""}}
allow from any
allow to any
`;
}
