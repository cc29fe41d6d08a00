// A real FRR (zebra, mgmtd, bgpd) in a network namespace, driven as an operator does: frr.conf and vtysh.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon, exec, must } from "./exec.ts";
import type { Lab } from "./lab.ts";
import type { Peering, RouterPlan, RoutingDaemon, SessionStatus } from "./routingDaemon.ts";
import { GiveUpError, waitFor } from "./wait.ts";

export interface FrrOptions {
  /** Never opens the connection itself. Default: true. */
  readonly isPassive?: boolean;
  /** More lines of the neighbor, without `neighbor ADDRESS`. */
  readonly neighborLines?: readonly string[];
  /** More lines at the top of frr.conf. */
  readonly configurationLines?: readonly string[];
  /** `driver: …` in karp.yaml; default frr. */
  readonly driver?: "frr" | "linux";
  /** Stands before bgpd's own command line, for example `karp wrap --`. */
  readonly wrapper?: readonly string[];
}

const PROGRAMS = "/usr/lib/frr";

/** Makers of FRRs for `setUpTwoRouters`. */
export function frr(options: FrrOptions = {}): (lab: Lab, plan: RouterPlan) => Frr {
  return (lab, plan) => new Frr(lab, plan, options);
}

export class Frr implements RoutingDaemon {
  readonly namespace: string;
  readonly peering: Peering;
  readonly #lab: Lab;
  readonly #options: FrrOptions;
  /** When each connection came up, in seconds: FRR counts back from now, and is off by one now and then. */
  readonly #since = new Map<string, number>();
  readonly #others: Daemon[] = [];
  #bgpd: Daemon | undefined;

  constructor(lab: Lab, plan: RouterPlan, options: FrrOptions) {
    this.namespace = plan.namespace;
    this.peering = plan.peering;
    this.#lab = lab;
    this.#options = options;
    for (const folder of [`/etc/frr/${this.namespace}`, `/var/run/frr/${this.namespace}`, "/var/tmp/frr"]) {
      mkdirSync(folder, { recursive: true });
    }
    writeFileSync(`/etc/frr/${this.namespace}/vtysh.conf`, "");
    writeFileSync(
      `/etc/frr/${this.namespace}/frr.conf`,
      configuration(plan, options, join(lab.out, `${plan.namespace}.frr.log`)),
    );
    lab.defer(async () => {
      for (const daemon of [this.#bgpd, ...this.#others]) await daemon?.end("SIGKILL");
    });
  }

  get pid(): number {
    if (this.#bgpd === undefined) throw new Error("bgpd is not started");
    return this.#bgpd.pid;
  }

  get driverWords(): readonly string[] {
    const { driver = "frr" } = this.#options;
    return driver === "frr" ? ["driver: frr", `frr: { pathspace: ${this.namespace} }`] : [`driver: ${driver}`];
  }

  async start(): Promise<void> {
    if (this.#others.length === 0) {
      await giveToFrr();
      for (const program of ["zebra", "mgmtd"]) this.#others.push(this.#spawn(program, []));
    }
    // A new bgpd counts its connections anew
    this.#since.clear();
    this.#bgpd = this.#spawn("bgpd", ["-p", "179"]);
    await this.#configure();
  }

  /** bgpd alone; zebra and mgmtd stay. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#bgpd?.end(signal);
  }

  /** @param vrf of a neighbor in another VRF than the default one */
  async status(remote = this.peering.remote, vrf?: string): Promise<SessionStatus> {
    const within = vrf === undefined ? "" : ` vrf ${vrf}`;
    const text = await this.vtysh(`show bgp${within} neighbors ${remote} json`);
    const neighbor = (JSON.parse(text) as Record<string, Neighbor>)[remote];
    if (neighbor === undefined) throw new Error(`FRR has no neighbor ${remote}`);
    const family = Object.values(neighbor.addressFamilyInfo ?? {})[0];
    return {
      since: this.#sinceText(remote, neighbor),
      info: neighbor.bgpState,
      routes: family && { imported: family.acceptedPrefixCounter ?? 0, exported: family.sentPrefixCounter ?? 0 },
    };
  }

  waitEstablished(routes: number, seconds = 60): Promise<SessionStatus> {
    return waitUp(`${this.namespace}'s session`, () => this.status(), routes, seconds);
  }

  /** One command of vtysh. */
  async vtysh(...commands: string[]): Promise<string> {
    const words = commands.flatMap((command) => ["-c", command]);
    return await must(["vtysh", "-N", this.namespace, ...words], { namespace: this.namespace });
  }

  #spawn(program: string, more: readonly string[]): Daemon {
    const { namespace } = this;
    const own = [join(PROGRAMS, program), "-N", namespace, ...more, "-i", `/var/run/frr/${namespace}/${program}.pid`];
    const command = [...(program === "bgpd" ? (this.#options.wrapper ?? []) : []), ...own];
    const log = join(this.#lab.out, `${namespace}.${program}.log`);
    return new Daemon(`${program} of ${namespace}`, command, log, { namespace });
  }

  async #configure(): Promise<void> {
    const bgpd = this.#bgpd;
    const done = async (): Promise<boolean> => {
      if (bgpd?.isRunning() !== true) throw new GiveUpError(`bgpd of ${this.namespace} ended:\n${bgpd?.logTail()}`);
      await exec(["vtysh", "-N", this.namespace, "-b"], { namespace: this.namespace });
      return (await this.vtysh("show running-config bgpd")).includes(`neighbor ${this.peering.remote} remote-as`);
    };
    await waitFor(`bgpd of ${this.namespace} to take its configuration`, done, { seconds: 120 });
  }

  #sinceText(
    remote: string,
    { bgpTimerUpEstablishedEpoch: epoch, connectionsEstablished: count = 0 }: Neighbor,
  ): string {
    if (epoch === undefined) return "";
    const connection = `${remote} ${count}`;
    const known = this.#since.get(connection);
    if (known === undefined) this.#since.set(connection, epoch);
    const isSame = known !== undefined && Math.abs(known - epoch) <= 1;
    const moment = (isSame ? known : epoch) * 1000 + (count % 10) * 100;
    return new Date(moment).toISOString().replace("T", " ").replace("Z", "");
  }
}

async function waitUp(
  what: string,
  look: () => Promise<SessionStatus>,
  routes: number,
  seconds: number,
): Promise<SessionStatus> {
  const up = async (): Promise<SessionStatus> => {
    const status = await look();
    if (status.info !== "Established") throw new Error(status.info);
    if (status.routes?.imported === routes && status.routes.exported === routes) return status;
    throw new Error(JSON.stringify(status.routes));
  };
  return await waitFor(`${what} with ${routes} routes`, up, { seconds });
}

/** Another session of the same bgpd, as a daemon of its own. */
export function otherFrrSession(daemon: Frr, peering: Peering, vrf?: string): RoutingDaemon {
  const status = () => daemon.status(peering.remote, vrf);
  return {
    namespace: daemon.namespace,
    peering,
    get pid() {
      return daemon.pid;
    },
    driverWords: daemon.driverWords,
    start: () => daemon.start(),
    end: (signal) => daemon.end(signal),
    status,
    waitEstablished: (routes, seconds = 60) =>
      waitUp(`${daemon.namespace}'s session ${peering.protocol}`, status, routes, seconds),
  };
}

/** What this lab reads of `show bgp neighbors … json`. */
interface Neighbor {
  readonly bgpState: string;
  readonly bgpTimerUpEstablishedEpoch?: number;
  readonly connectionsEstablished?: number;
  readonly addressFamilyInfo?: Readonly<
    Record<string, { readonly acceptedPrefixCounter?: number; readonly sentPrefixCounter?: number }>
  >;
}

function configuration({ routerId, peering, routes }: RouterPlan, options: FrrOptions, log: string): string {
  const { isPassive = true, neighborLines = [], configurationLines = [] } = options;
  const own = [...(isPassive ? ["passive"] : []), ...neighborLines];
  return `${[`log file ${log} debugging`, ...configurationLines].join("\n")}
router bgp ${peering.localAs}
${globalLines(routerId)}
${neighborBlock(peering, own, routes)}
exit
`;
}

function globalLines(routerId: string): string {
  return ` bgp router-id ${routerId}
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast`;
}

function neighborBlock({ local, remote, remoteAs }: Peering, lines: readonly string[], routes: readonly string[]) {
  const family = remote.includes(":") ? "ipv6" : "ipv4";
  const all = [
    `remote-as ${remoteAs}`,
    `update-source ${local}`,
    "timers 1 9",
    "timers connect 2",
    "advertisement-interval 0",
    "sender-as-path-loop-detection",
    ...lines,
  ];
  return `${all.map((line) => ` neighbor ${remote} ${line}`).join("\n")}
 address-family ${family} unicast
  neighbor ${remote} activate
${routes.map((route) => `  network ${route}`).join("\n")}
 exit-address-family`;
}

export interface MoreNeighbors {
  /** Default: that of the first neighbor. */
  readonly vrf?: string;
  /** Without `neighbor ADDRESS`. */
  readonly lines?: readonly string[];
  readonly routes?: readonly string[];
}

/** More neighbors for frr.conf. */
export function moreNeighbors(
  routerId: string,
  peerings: readonly Peering[],
  { vrf, lines = [], routes = [] }: MoreNeighbors = {},
): string {
  const within = vrf === undefined ? "" : ` vrf ${vrf}`;
  const blocks = peerings.map((peering) => neighborBlock(peering, lines, routes));
  return `router bgp ${peerings[0]?.localAs}${within}
${globalLines(routerId)}
${blocks.join("\n")}
exit`;
}

/** FRR's daemons give up root for the user frr. */
async function giveToFrr(): Promise<void> {
  mkdirSync("/run/frr", { recursive: true });
  await must(["chown", "-R", "frr:frr", "/etc/frr", "/var/run/frr", "/run/frr", "/var/tmp/frr"]);
}
