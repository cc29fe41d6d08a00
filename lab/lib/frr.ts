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
  readonly #since = new SteadySince();

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

  async status(): Promise<SessionStatus> {
    const { remote } = this.peering;
    const text = await this.vtysh(`show bgp neighbors ${remote} json`);
    const neighbor = (JSON.parse(text) as Record<string, Neighbor>)[remote];
    if (neighbor === undefined) throw new Error(`FRR has no neighbor ${remote}`);
    const family = Object.values(neighbor.addressFamilyInfo ?? {})[0];
    return {
      since: this.#sinceText(neighbor),
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

  #sinceText({ bgpTimerUpEstablishedEpoch: epoch, connectionsEstablished: count = 0 }: Neighbor): string {
    return epoch === undefined ? "" : this.#since.text(count, epoch);
  }
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
  const { localAs, local, remote, remoteAs } = peering;
  const { isPassive = true, neighborLines = [], configurationLines = [] } = options;
  const family = remote.includes(":") ? "ipv6" : "ipv4";
  const own = [
    `remote-as ${remoteAs}`,
    `update-source ${local}`,
    "timers 1 9",
    "timers connect 2",
    "advertisement-interval 0",
    "sender-as-path-loop-detection",
    ...(isPassive ? ["passive"] : []),
    ...neighborLines,
  ];
  return `${configurationLines.map((line) => `${line}\n`).join("")}router bgp ${localAs}
 bgp router-id ${routerId}
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
${own.map((line) => ` neighbor ${remote} ${line}`).join("\n")}
 address-family ${family} unicast
  neighbor ${remote} activate
${routes.map((route) => `  network ${route}`).join("\n")}
 exit-address-family
exit
`;
}
