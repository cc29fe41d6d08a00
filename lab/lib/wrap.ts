// `karp wrap` in a network namespace, and the setting of its scenarios: r1's daemon runs under it and opens the
// connection to a BIRD on r2 that only waits, so that no session comes up unless r1's SYN was signed.
import { readFileSync } from "node:fs";
import { type Bird, bird } from "./bird.ts";
import { Karp, type KarpSession, type Mode } from "./karp.ts";
import { Keyer } from "./keyer.ts";
import { KeyWatch } from "./keyWatch.ts";
import type { Lab } from "./lab.ts";
import { addTwoRouters } from "./network.ts";
import { makeCertificates } from "./pki.ts";
import { startKarp } from "./rollovers.ts";
import type { RoutingDaemon } from "./routingDaemon.ts";
import { type DaemonMaker, FAST_ROLLOVER, type Pair, routerName, routerPlan, type TwoRouters } from "./twoRouters.ts";
import { type VerifierMkt, verifyCapture } from "./verify.ts";

/** What stands before the daemon's own command line. */
export function wrapper(lab: Lab, namespace: string): readonly string[] {
  return ["node", lab.program, "wrap", "--config", configurationOf(namespace), "--"];
}

function configurationOf(namespace: string): string {
  return `/etc/lab/${namespace}/karp.yaml`;
}

/** The process that a supervisor started. @throws Error when it has not (yet) */
export function wrappedPid(supervisor: number): number {
  const [child] = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, "utf8").split(" ").filter(Boolean);
  if (child === undefined) throw new Error(`process ${supervisor} has no child`);
  return Number(child);
}

export interface WrapSetting<D extends RoutingDaemon> extends TwoRouters<D> {
  readonly keyers: readonly Keyer[];
}

export interface WrapPlan<D extends RoutingDaemon> {
  readonly daemons: Pair<DaemonMaker<D>>;
  readonly mode?: Mode;
  readonly routes?: number;
  /** Makes r1 and r2 with their link; default `addTwoRouters`. */
  readonly network?: (lab: Lab) => Promise<void>;
  /** Lines of r1's session. */
  readonly lines?: readonly string[];
  /** Lines of the session at both ends. */
  readonly sharedLines?: readonly string[];
  /** Routers that have a keyer; default r1. */
  readonly keyers?: readonly ("r1" | "r2")[];
}

/** Network, credentials, keyers, karps; the configurations are written, and nothing runs. */
export async function layOutWrap<D extends RoutingDaemon>(lab: Lab, plan: WrapPlan<D>): Promise<WrapSetting<D>> {
  const { routes = 100, mode = "required", lines = [], sharedLines = [], network = addTwoRouters } = plan;
  await network(lab);
  const keyers = (plan.keyers ?? ["r1"]).map((name) => new Keyer(lab, name));
  const daemons: Pair<D> = [
    plan.daemons[0](lab, routerPlan(1, "ipv4", routes)),
    plan.daemons[1](lab, routerPlan(2, "ipv4", routes)),
  ];
  const made = await makeCertificates("/etc/lab/pki", [routerName(1), routerName(2)]);
  const karp = (n: 1 | 2): Karp => {
    const { peering, driverWords } = daemons[n - 1] as D;
    const { protocol: name, local, remote } = peering;
    const more = n === 1 ? lines : [];
    const session: KarpSession = {
      name,
      local,
      remote,
      peer: routerName(n === 1 ? 2 : 1),
      lines: [...driverWords, ...sharedLines, ...more],
    };
    const topLines = keyers.filter(({ namespace }) => namespace === `r${n}`).map(({ line }) => line);
    const credentials = made[routerName(n)];
    const own = { namespace: `r${n}`, router: routerName(n), credentials, sessions: [session] as const, topLines };
    return new Karp(lab, { ...own, rollover: FAST_ROLLOVER }, mode);
  };
  return {
    daemons,
    karps: [karp(1), karp(2)],
    watch: new KeyWatch(daemons, [routerPlan(1, "ipv4", 0).keyFile, routerPlan(2, "ipv4", 0).keyFile]),
    routes,
    addresses: [daemons[0].peering.local, daemons[1].peering.local],
    baseline: [],
    capture: undefined,
    keyers,
  };
}

/** A BIRD that never opens the connection itself. */
export function waitingBird(): DaemonMaker<Bird> {
  return bird({ protocolLines: ["passive yes;"] });
}

/** Keyers, then both karps. */
export async function startKarps(lab: Lab, setting: WrapSetting<RoutingDaemon>): Promise<void> {
  for (const keyer of setting.keyers) await keyer.start();
  for (const karp of setting.karps) await startKarp(lab, karp);
}

export type { VerifierMkt };
/**
 * Everything in a capture was signed and verifies, beginning with the first SYN.
 */
export async function assertAllSigned(lab: Lab, file: string, mkts: readonly VerifierMkt[]): Promise<void> {
  const { totals, connections } = await verifyCapture(lab, file, mkts);
  const { segments, verified, unsigned, failed, malformed } = totals;
  const detail = `${segments} segments in ${connections.length} connections`;
  const isWhole = segments > 0 && verified === segments && unsigned + failed + malformed === 0;
  lab.check("capture: every segment since the daemon started is signed and verifies, each SYN too", isWhole, detail);
  const opened = connections.filter(({ beginningCaptured }) => beginningCaptured);
  lab.check("capture: it holds the first SYN of each connection", opened.length === connections.length, detail);
}
