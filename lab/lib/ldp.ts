// FRR's ldpd: an LSR with its transport address on the loopback, as LDP is run (RFC 5036 section 3.5.2).
import { must } from "./exec.ts";
import { FrrProgram } from "./frrProgram.ts";
import type { Lab } from "./lab.ts";
import { addTwoRouters } from "./network.ts";
import { processBelow } from "./processes.ts";
import {
  type Peering,
  type RouterPlan,
  type RoutingDaemon,
  type SessionStatus,
  waitForRoutes,
} from "./routingDaemon.ts";
import { SteadySince } from "./steadySince.ts";
import type { DaemonMaker } from "./twoRouters.ts";
import { wrapper } from "./wrap.ts";

export const LDP_PORT = 646;
/** The FECs of each LSR: the link and both loopbacks. */
export const LDP_BINDINGS = 3;

/** Two routers whose transport addresses 10.255.0.1 and 10.255.0.2 reach each other, with MPLS on the link. */
export async function addTwoLsrs(lab: Lab): Promise<void> {
  await addTwoRouters(lab);
  for (const n of [1, 2] as const) {
    const namespace = `r${n}`;
    const other = 3 - n;
    await must(["ip", "-n", namespace, "addr", "add", `${transportAddress(n)}/32`, "dev", "lo"]);
    await must(["ip", "-n", namespace, "route", "add", `10.255.0.${other}/32`, "via", `10.0.0.${other}`]);
    await must(["sysctl", "-qw", "net.mpls.platform_labels=1000", "net.mpls.conf.e0.input=1"], { namespace });
  }
}

function transportAddress(n: number): string {
  return `10.255.0.${n}`;
}

/** The end with the higher transport address opens the connection (RFC 5036 section 2.5.2), so it needs the supervisor. */
export function ldp(role: "active" | "passive"): DaemonMaker<Ldp> {
  return (lab, plan) => new Ldp(lab, plan, role);
}

/** What this lab reads of `show mpls ldp neighbor json` and `show mpls ldp binding json`. */
interface Neighbors {
  readonly neighbors?: readonly { readonly neighborId: string; readonly state: string; readonly upTime: string }[];
}
interface Bindings {
  readonly bindings?: readonly {
    readonly addressFamily: string;
    readonly prefix: string;
    readonly neighborId: string;
    readonly localLabel: string;
    readonly remoteLabel: string;
  }[];
}

export class Ldp implements RoutingDaemon {
  readonly namespace: string;
  readonly peering: Peering;
  readonly driverWords = ["driver: linux", "protocol: ldp"];
  readonly #ldpd: FrrProgram;
  readonly #since = new SteadySince();

  constructor(lab: Lab, { namespace, peering }: RouterPlan, role: "active" | "passive") {
    const [local, remote] = [peering.local, peering.remote].map((address) =>
      transportAddress(Number(address.split(".").at(-1))),
    ) as [string, string];
    this.namespace = namespace;
    this.peering = { ...peering, local, remote, port: LDP_PORT };
    this.#ldpd = new FrrProgram(lab, {
      namespace,
      program: "ldpd",
      configuration: configuration(local),
      isTakenWith: `router-id ${local}`,
      ...(role === "active" && { wrapper: wrapper(lab, namespace) }),
    });
  }

  /** The LDP engine: the listener is made by its parent and handed to it; connections are its own. */
  get pid(): number {
    return processBelow(this.#ldpd.pid, "-E");
  }

  get configurationFile(): string {
    return this.#ldpd.configurationFile;
  }

  async start(): Promise<void> {
    this.#since.clear();
    await this.#ldpd.start();
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#ldpd.end(signal);
  }

  /** Label bindings stand for the routes. */
  async status(): Promise<SessionStatus> {
    const { remote } = this.peering;
    const askedAt = Date.now();
    const { neighbors = [] } = JSON.parse(await this.vtysh("show mpls ldp neighbor json")) as Neighbors;
    const { bindings: all = [] } = JSON.parse(await this.vtysh("show mpls ldp binding json")) as Bindings;
    const bindings = all.filter(({ addressFamily }) => addressFamily === "ipv4");
    const neighbor = neighbors.find(({ neighborId }) => neighborId === remote);
    const theirs = bindings.filter(({ neighborId, remoteLabel }) => neighborId === remote && remoteLabel !== "-");
    const ours = new Set(bindings.filter(({ localLabel }) => localLabel !== "-").map(({ prefix }) => prefix));
    return {
      since: neighbor === undefined ? "" : this.#since.textOfAge(0, secondsOf(neighbor.upTime), askedAt),
      info: neighbor?.state === "OPERATIONAL" ? "Established" : (neighbor?.state ?? "no neighbor"),
      routes: { imported: theirs.length, exported: ours.size },
    };
  }

  waitEstablished(routes: number, seconds?: number): Promise<SessionStatus> {
    return waitForRoutes(this, routes, seconds);
  }

  vtysh(...commands: string[]): Promise<string> {
    return this.#ldpd.vtysh(...commands);
  }
}

/** "00:01:13" */
function secondsOf(upTime: string): number {
  return upTime.split(":").reduce((total, part) => total * 60 + Number(part), 0);
}

function configuration(address: string): string {
  return `mpls ldp
 router-id ${address}
 address-family ipv4
  discovery transport-address ${address}
  discovery hello interval 1
  session holdtime 15
  interface e0
  exit
 exit-address-family
exit
`;
}
