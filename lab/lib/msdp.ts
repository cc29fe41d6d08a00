// FRR's pimd as a rendezvous point with one MSDP peer (RFC 3618).
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
import type { DaemonMaker } from "./twoRouters.ts";
import { wrappedPid, wrapper } from "./wrap.ts";

export const MSDP_PORT = 639;

/** The end with the lower address opens the connection (RFC 3618 section 11.2), so it needs the supervisor. */
export function msdp(role: "active" | "passive"): DaemonMaker<Msdp> {
  return (lab, plan) => new Msdp(lab, plan, role);
}

/** What this lab reads of `show ip msdp peer ADDRESS json`. */
interface Peer {
  readonly state: string;
  readonly upTime: string;
  readonly saCount: number;
  readonly establishedChanges: number;
}

export class Msdp implements RoutingDaemon {
  readonly namespace: string;
  readonly peering: Peering;
  readonly driverWords = ["driver: linux", "protocol: msdp"];
  readonly #role: "active" | "passive";
  readonly #pimd: FrrProgram;
  readonly #since = new SteadySince();

  constructor(lab: Lab, { namespace, peering }: RouterPlan, role: "active" | "passive") {
    this.namespace = namespace;
    this.peering = { ...peering, port: MSDP_PORT };
    this.#role = role;
    this.#pimd = new FrrProgram(lab, {
      namespace,
      program: "pimd",
      configuration: configuration(peering),
      isTakenWith: `msdp peer ${peering.remote}`,
      ...(role === "active" && { wrapper: wrapper(lab, namespace) }),
    });
  }

  get pid(): number {
    return this.#role === "active" ? wrappedPid(this.#pimd.pid) : this.#pimd.pid;
  }

  get configurationFile(): string {
    return this.#pimd.configurationFile;
  }

  async start(): Promise<void> {
    this.#since.clear();
    await this.#pimd.start();
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#pimd.end(signal);
  }

  async status(): Promise<SessionStatus> {
    const { remote } = this.peering;
    const askedAt = Date.now();
    const peers = JSON.parse(await this.vtysh(`show ip msdp peer ${remote} json`)) as Record<string, Peer>;
    const peer = peers[remote];
    if (peer === undefined) throw new Error(`pimd has no MSDP peer ${remote}`);
    return {
      since: this.#since.textOfAge(peer.establishedChanges, secondsOf(peer.upTime), askedAt),
      info: peer.state === "established" ? "Established" : peer.state,
      routes: { imported: peer.saCount, exported: 0 },
    };
  }

  waitEstablished(routes: number, seconds?: number): Promise<SessionStatus> {
    return waitForRoutes(this, routes, seconds);
  }

  vtysh(...commands: string[]): Promise<string> {
    return this.#pimd.vtysh(...commands);
  }
}

/** "00:01:13" */
function secondsOf(upTime: string): number {
  return upTime.split(":").reduce((total, part) => total * 60 + Number(part), 0);
}

function configuration({ local, remote }: Peering): string {
  return `interface e0
 ip pim
exit
router pim
 rp ${local} 239.0.0.0/8
 msdp timers 2 9 2
 msdp peer ${remote} source ${local}
exit
`;
}
