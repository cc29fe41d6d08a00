// A real FRR (zebra, mgmtd, bgpd) in a network namespace, driven as an operator does: frr.conf and vtysh.
import { FrrProgram } from "./frrProgram.ts";
import type { Lab } from "./lab.ts";
import {
  type Peering,
  type RouterPlan,
  type RoutingDaemon,
  type SessionStatus,
  waitForRoutes,
} from "./routingDaemon.ts";
import { SteadySince } from "./steadySince.ts";

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

/** Makers of FRRs for `setUpTwoRouters`. */
export function frr(options: FrrOptions = {}): (lab: Lab, plan: RouterPlan) => Frr {
  return (lab, plan) => new Frr(lab, plan, options);
}

export class Frr implements RoutingDaemon {
  readonly namespace: string;
  readonly peering: Peering;
  readonly #options: FrrOptions;
  readonly #bgpd: FrrProgram;
  /** By neighbor. */
  readonly #since = new Map<string, SteadySince>();

  constructor(lab: Lab, plan: RouterPlan, options: FrrOptions) {
    this.namespace = plan.namespace;
    this.peering = plan.peering;
    this.#options = options;
    this.#bgpd = new FrrProgram(lab, {
      namespace: plan.namespace,
      program: "bgpd",
      arguments: ["-p", "179"],
      configuration: configuration(plan, options),
      isTakenWith: `neighbor ${plan.peering.remote} remote-as`,
      ...(options.wrapper !== undefined && { wrapper: options.wrapper }),
    });
  }

  get pid(): number {
    return this.#bgpd.pid;
  }

  get configurationFile(): string {
    return this.#bgpd.configurationFile;
  }

  /** What FRR writes itself. */
  get log(): string {
    return this.#bgpd.log;
  }

  get driverWords(): readonly string[] {
    const { driver = "frr" } = this.#options;
    return driver === "frr" ? ["driver: frr", `frr: { pathspace: ${this.namespace} }`] : [`driver: ${driver}`];
  }

  async start(): Promise<void> {
    this.#since.clear();
    await this.#bgpd.start();
  }

  /** bgpd alone; zebra and mgmtd stay. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#bgpd.end(signal);
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

  waitEstablished(routes: number, seconds?: number): Promise<SessionStatus> {
    return waitForRoutes(this, routes, seconds);
  }

  /** Commands of vtysh, one after the other. */
  vtysh(...commands: string[]): Promise<string> {
    return this.#bgpd.vtysh(...commands);
  }

  #sinceText(
    neighbor: string,
    { bgpTimerUpEstablishedEpoch: epoch, connectionsEstablished: count = 0 }: Neighbor,
  ): string {
    if (epoch === undefined) return "";
    const since = this.#since.get(neighbor) ?? new SteadySince();
    this.#since.set(neighbor, since);
    return since.text(count, epoch);
  }
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
    waitEstablished: (routes, seconds) => waitForRoutes({ namespace: daemon.namespace, status }, routes, seconds),
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

function configuration({ routerId, peering, routes }: RouterPlan, options: FrrOptions): string {
  const { isPassive = true, neighborLines = [], configurationLines = [] } = options;
  const own = [...(isPassive ? ["passive"] : []), ...neighborLines];
  return `${configurationLines.map((line) => `${line}\n`).join("")}router bgp ${peering.localAs}
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
