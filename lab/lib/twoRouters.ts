// The setting of most scenarios: two routers, each with a routing daemon and a karp, and one session that karp keys.
import { randomBytes } from "node:crypto";
import { type Bird, bird } from "./bird.ts";
import { Capture } from "./capture.ts";
import { must } from "./exec.ts";
import { Karp, type KarpSession, type Mode, type Words, writePsk } from "./karp.ts";
import { KeyWatch } from "./keyWatch.ts";
import type { Lab } from "./lab.ts";
import { addTwoRouters, type TcpAoCounters, tcpAoCounters } from "./network.ts";
import { makeCertificates, type RouterCredentials } from "./pki.ts";
import type { RouterPlan, RoutingDaemon } from "./routingDaemon.ts";

export const ENDS = ["r1", "r2"] as const;
export type Pair<T> = readonly [T, T];
export type DaemonMaker<D extends RoutingDaemon> = (lab: Lab, plan: RouterPlan) => D;

export interface KarpPlan {
  /** More lines of the session in karp.yaml, beside driver, addresses, peer and mode. */
  readonly lines?: readonly string[];
  /** Takes the place of the driver's lines that the daemon gives. */
  readonly driverWords?: readonly string[];
  readonly moreSessions?: readonly KarpSession[];
  readonly topLines?: readonly string[];
  readonly rollover?: Words;
  readonly program?: string;
  readonly nodeArguments?: readonly string[];
}

export interface TwoRoutersOptions<D extends RoutingDaemon> {
  /** Makes r1 and r2 with their link; default `addTwoRouters`. */
  readonly network?: (lab: Lab) => Promise<void>;
  /** One for both routers, or one for each. */
  readonly daemons: DaemonMaker<D> | Pair<DaemonMaker<D>>;
  /** Of the session; default IPv4. */
  readonly family?: "ipv4" | "ipv6";
  /** Prefixes that each end originates; default 100. */
  readonly routes?: number;
  /** Default certificates. */
  readonly credentials?: "certificates" | "psk";
  readonly mode?: Mode;
  /** Words of `rollover:`, for both; default: no rollover of its own accord within an hour, old keys go after 3 s. */
  readonly rollover?: Words;
  readonly karps?: Pair<KarpPlan>;
  /** Words of `tc qdisc … netem` for both directions of the link, from the start. */
  readonly netem?: readonly string[];
}

export interface TwoRouters<D extends RoutingDaemon = RoutingDaemon> {
  readonly daemons: Pair<D>;
  readonly karps: Pair<Karp>;
  readonly watch: KeyWatch;
  readonly routes: number;
  readonly addresses: Pair<string>;
  baseline: readonly Baseline[];
  capture: Capture | undefined;
}

export interface Baseline {
  readonly since: string;
  readonly counters: TcpAoCounters;
}

export const FAST_ROLLOVER: Words = { every: "1h", drain: "1s", "keep-old": "2s" };

/** Network, credentials, two daemons with an unprotected session that is up; the karps are there but not started. */
export async function setUpTwoRouters<D extends RoutingDaemon>(
  lab: Lab,
  options: TwoRoutersOptions<D>,
): Promise<TwoRouters<D>> {
  const { family = "ipv4", routes = 100, netem, network = addTwoRouters } = options;
  await network(lab);
  if (netem !== undefined) await setNetem(netem);
  const makers =
    typeof options.daemons === "function" ? ([options.daemons, options.daemons] as const) : options.daemons;
  const daemons: Pair<D> = [
    makers[0](lab, routerPlan(1, family, routes)),
    makers[1](lab, routerPlan(2, family, routes)),
  ];
  lab.step(`two routing daemons with ${routes} routes each, not protected yet`);
  for (const daemon of daemons) await daemon.start();
  for (const daemon of daemons) await daemon.waitEstablished(routes, 120);
  const credentials = await makeCredentials(options.credentials ?? "certificates");
  const karp = (n: 1 | 2): Karp => makeKarp(lab, n, daemons[n - 1] as D, options, credentials[n - 1]);
  return {
    daemons,
    karps: [karp(1), karp(2)],
    watch: new KeyWatch(daemons, [routerPlan(1, family, 0).keyFile, routerPlan(2, family, 0).keyFile]),
    routes,
    addresses: [daemons[0].peering.local, daemons[1].peering.local],
    baseline: [],
    capture: undefined,
  };
}

/** The setting with two BIRDs, which is the commonest. */
export function setUpTwoBirds(lab: Lab, options: Partial<TwoRoutersOptions<Bird>> = {}): Promise<TwoRouters<Bird>> {
  return setUpTwoRouters(lab, { daemons: bird(), ...options });
}

/** Replaces what the link does to packets, in both directions; without words it is a clean link again. */
export async function setNetem(words: readonly string[]): Promise<void> {
  for (const namespace of ENDS) {
    if (words.length === 0) await must(["tc", "-n", namespace, "qdisc", "del", "dev", "e0", "root"]);
    else await must(["tc", "-n", namespace, "qdisc", "replace", "dev", "e0", "root", "netem", ...words]);
  }
}

/** Router `n` of `addTwoRouters` with `count` prefixes of its own. */
export function routerPlan(n: 1 | 2, family: "ipv4" | "ipv6", count: number): RouterPlan {
  const other = 3 - n;
  const address = (end: number): string => (family === "ipv4" ? `10.0.0.${end}` : `2001:db8::${end}`);
  const prefix = (i: number): string =>
    family === "ipv4"
      ? `10.${64 * n + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32`
      : `2001:db8:${n}:${i.toString(16)}::/64`;
  return {
    namespace: `r${n}`,
    routerId: `10.0.0.${n}`,
    routes: Array.from({ length: count }, (_, i) => prefix(i)),
    peering: {
      protocol: `r${other}`,
      local: address(n),
      localAs: 65000 + n,
      remote: address(other),
      remoteAs: 65000 + other,
    },
    keyFile: `/var/lib/lab/r${n}/keys/r${other}.conf`,
  };
}

async function makeCredentials(kind: "certificates" | "psk"): Promise<readonly (RouterCredentials | undefined)[]> {
  if (kind === "certificates") {
    const made = await makeCertificates("/etc/lab/pki", [routerName(1), routerName(2)]);
    return [made["r1.example.net"], made["r2.example.net"]];
  }
  const secret = randomPsk();
  for (const n of [1, 2] as const) writePsk(pskFile(n), secret);
  return [undefined, undefined];
}

export function randomPsk(): string {
  return `0x${randomBytes(32).toString("hex")}`;
}

export function pskFile(n: 1 | 2): string {
  return `/etc/lab/r${n}/peer.psk`;
}

export function routerName<N extends 1 | 2>(n: N): `r${N}.example.net` {
  return `r${n}.example.net`;
}

function makeKarp<D extends RoutingDaemon>(
  lab: Lab,
  n: 1 | 2,
  daemon: D,
  options: TwoRoutersOptions<D>,
  credentials: RouterCredentials | undefined,
): Karp {
  const {
    lines = [],
    driverWords = daemon.driverWords,
    moreSessions = [],
    rollover,
    ...rest
  } = options.karps?.[n - 1] ?? {};
  const { protocol, local, remote } = daemon.peering;
  const secret = credentials === undefined ? [`psk-file: ${pskFile(n)}`] : [];
  const peer = routerName(n === 1 ? 2 : 1);
  const session: KarpSession = { name: protocol, local, remote, peer, lines: [...driverWords, ...secret, ...lines] };
  const made = {
    namespace: `r${n}`,
    router: routerName(n),
    credentials,
    sessions: [session, ...moreSessions] as const,
    rollover: { ...FAST_ROLLOVER, ...options.rollover, ...rollover },
    ...rest,
  };
  return new Karp(lab, made, options.mode ?? "opportunistic");
}

export interface CaptureOptions {
  /** A pcap filter expression; default BGP. */
  readonly filter?: string;
  /** On whose end of the link; default r1's. */
  readonly namespace?: string;
}

/** Captures what one end sees on the link, and watches the kernel's keys; `endCapture` stops both. */
export async function beginCapture(lab: Lab, setting: TwoRouters, options: CaptureOptions = {}): Promise<void> {
  const { filter = "tcp port 179", namespace = "r1" } = options;
  setting.capture = await Capture.start(lab, "session", namespace, filter);
  setting.watch.start(lab);
}

/** @returns the file */
export async function endCapture(lab: Lab, setting: TwoRouters): Promise<string> {
  if (setting.capture === undefined) throw new Error("nothing is being captured");
  await setting.watch.stop();
  await setting.capture.stop(lab);
  return setting.capture.file;
}

/** From here on neither `Since` nor the counters of trouble may change. */
export async function takeBaseline(setting: TwoRouters): Promise<void> {
  const take = async (i: 0 | 1): Promise<Baseline> => ({
    since: (await setting.daemons[i].status()).since,
    counters: await tcpAoCounters(ENDS[i]),
  });
  setting.baseline = [await take(0), await take(1)];
}
