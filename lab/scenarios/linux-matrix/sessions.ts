// The sessions of the matrix: all between the same two routers, each with addresses, an algorithm and an option flag of
// its own.

import { must } from "../../lib/exec.ts";
import { Frr, moreNeighbors, otherFrrSession } from "../../lib/frr.ts";
import { Karp, type KarpSession } from "../../lib/karp.ts";
import { Keyer } from "../../lib/keyer.ts";
import { KeyWatch } from "../../lib/keyWatch.ts";
import type { Lab } from "../../lib/lab.ts";
import { addLink, addTwoRouters } from "../../lib/network.ts";
import { makeCertificates } from "../../lib/pki.ts";
import type { Peering, RouterPlan, RoutingDaemon } from "../../lib/routingDaemon.ts";
import { RTR_PORT, type RtrEnd, rtrEnd } from "../../lib/rtrPair.ts";
import { ENDS, FAST_ROLLOVER, type Pair, routerName, type TwoRouters } from "../../lib/twoRouters.ts";
import { type WrappedFrr, wrappedFrr } from "../../lib/wrappedFrr.ts";

export const VRF = "red";
const ROUTES = 20;

export interface Kind {
  readonly name: string;
  /** `mapped`: IPv4 through IPv6 sockets at both ends. */
  readonly over: "ipv6" | "ipv4 in a VRF" | "mapped";
  readonly algorithm: "aes-128-cmac-96" | "hmac-sha-1-96" | "hmac-sha-256-128";
  readonly tcpOptions: "covered" | "omitted";
}

/** Each algorithm with each option flag, over IPv6 or in a VRF; the first session is that of a plain program. */
export const KINDS: readonly Kind[] = [
  { name: "mapped", over: "mapped", algorithm: "aes-128-cmac-96", tcpOptions: "covered" },
  { name: "v6-cmac", over: "ipv6", algorithm: "aes-128-cmac-96", tcpOptions: "covered" },
  { name: "v6-sha1", over: "ipv6", algorithm: "hmac-sha-1-96", tcpOptions: "omitted" },
  { name: "v6-sha256", over: "ipv6", algorithm: "hmac-sha-256-128", tcpOptions: "covered" },
  { name: "vrf-cmac", over: "ipv4 in a VRF", algorithm: "aes-128-cmac-96", tcpOptions: "omitted" },
  { name: "vrf-sha1", over: "ipv4 in a VRF", algorithm: "hmac-sha-1-96", tcpOptions: "covered" },
  { name: "vrf-sha256", over: "ipv4 in a VRF", algorithm: "hmac-sha-256-128", tcpOptions: "omitted" },
];

export interface MatrixSession extends TwoRouters<RoutingDaemon> {
  readonly kind: Kind;
}

export interface Matrix {
  readonly keyers: Pair<Keyer>;
  readonly karps: Pair<Karp>;
  readonly frrs: readonly [Frr, WrappedFrr];
  readonly rtrs: Pair<RtrEnd>;
  readonly sessions: readonly MatrixSession[];
}

/** Network, credentials, keyers, karps, daemons: the configurations are written, and nothing runs. */
export async function layOutMatrix(lab: Lab): Promise<Matrix> {
  await addNetwork(lab);
  const frrs = [makeFrr(lab, 1), makeFrr(lab, 2)] as unknown as readonly [Frr, WrappedFrr];
  const [mapped] = KINDS.filter(({ over }) => over === "mapped");
  const rtrPlan = (n: 1 | 2): RouterPlan => plan(n, peeringOf(mapped as Kind, n), []);
  const rtrs = [
    rtrEnd("server", { isMapped: true })(lab, rtrPlan(1)),
    rtrEnd("client", { isMapped: true })(lab, rtrPlan(2)),
  ] as const;
  const keyers = [new Keyer(lab, "r1"), new Keyer(lab, "r2")] as const;
  const made = await makeCertificates("/etc/lab/pki", [routerName(1), routerName(2)]);
  const karp = (n: 1 | 2): Karp => {
    const [first, ...others] = KINDS.map((kind) => karpSession(kind, n));
    const sessions = [first as KarpSession, ...others] as const;
    const own = { namespace: `r${n}`, router: routerName(n), credentials: made[routerName(n)], sessions };
    return new Karp(lab, { ...own, topLines: [keyers[n - 1]?.line ?? ""], rollover: FAST_ROLLOVER }, "required");
  };
  const karps = [karp(1), karp(2)] as const;
  const sessions = KINDS.map((kind): MatrixSession => {
    const view = (n: 1 | 2): RoutingDaemon =>
      kind.over === "mapped"
        ? (rtrs[n - 1] as RtrEnd)
        : otherFrrSession(frrs[n - 1] as Frr, peeringOf(kind, n), vrfOf(kind));
    const daemons = [view(1), view(2)] as const;
    const routes = kind.over === "mapped" ? 0 : ROUTES;
    const addresses = [peeringOf(kind, 1).local, peeringOf(kind, 2).local] as const;
    const watch = new KeyWatch(daemons, ["/none", "/none"]);
    return { kind, daemons, karps, watch, routes, addresses, baseline: [], capture: undefined };
  });
  return { keyers, karps, frrs, rtrs, sessions };
}

/** The link e0 of the default VRF, and e1 in a VRF of its own at both ends. */
async function addNetwork(lab: Lab): Promise<void> {
  await addTwoRouters(lab);
  const side = (n: 1 | 2, of: Kind["over"]): string[] =>
    KINDS.flatMap((kind) => (kind.over === of ? [`${peeringOf(kind, n).local}/${of === "ipv6" ? 64 : 24}`] : []));
  for (const [i, namespace] of ENDS.entries()) {
    await must(["ip", "-n", namespace, "link", "add", VRF, "type", "vrf", "table", "100"]);
    await must(["ip", "-n", namespace, "link", "set", VRF, "up"]);
    for (const address of side(i === 0 ? 1 : 2, "ipv6")) {
      await must(["ip", "-n", namespace, "addr", "add", address, "dev", "e0", "nodad"]);
    }
  }
  await addLink(
    { namespace: "r1", name: "e1", addresses: side(1, "ipv4 in a VRF") },
    { namespace: "r2", name: "e1", addresses: side(2, "ipv4 in a VRF") },
  );
  for (const namespace of ENDS) await must(["ip", "-n", namespace, "link", "set", "e1", "master", VRF]);
}

/** r1's bgpd waits; r2's runs under `karp wrap` and opens all sessions. */
function makeFrr(lab: Lab, n: 1 | 2): Frr {
  const own = (of: Kind["over"]): readonly Peering[] =>
    KINDS.filter(({ over }) => over === of).map((kind) => peeringOf(kind, n));
  const [first, ...others] = own("ipv6");
  const lines = n === 1 ? ["passive"] : [];
  const more = { lines, routes: routesOf(n, "ipv6") };
  const configurationLines = [
    moreNeighbors(`10.0.0.${n}`, others, more),
    moreNeighbors(`10.0.0.${n}`, own("ipv4 in a VRF"), { vrf: VRF, lines, routes: routesOf(n, "ipv4") }),
  ];
  const made = plan(n, first as Peering, routesOf(n, "ipv6"));
  if (n === 1) return new Frr(lab, made, { driver: "linux", configurationLines });
  return wrappedFrr({ configurationLines })(lab, made);
}

function plan(n: 1 | 2, peering: Peering, routes: readonly string[]): RouterPlan {
  return { namespace: `r${n}`, routerId: `10.0.0.${n}`, peering, routes, keyFile: "/none" };
}

function routesOf(n: 1 | 2, family: "ipv4" | "ipv6"): readonly string[] {
  const prefix = (i: number): string => (family === "ipv4" ? `10.${64 * n}.0.${i}/32` : `2001:db8:f${n}:${i}::/64`);
  return Array.from({ length: ROUTES }, (_, i) => prefix(i));
}

function peeringOf(kind: Kind, n: 1 | 2): Peering {
  const index = KINDS.indexOf(kind) + 1;
  const address = (end: number): string => {
    if (kind.over === "mapped") return `10.0.0.${end}`;
    return kind.over === "ipv6" ? `2001:db8:${index}::${end}` : `10.1.${index}.${end}`;
  };
  return {
    protocol: kind.name,
    local: address(n),
    localAs: 65000 + n,
    remote: address(3 - n),
    remoteAs: 65000 + 3 - n,
    port: kind.over === "mapped" ? RTR_PORT : 179,
  };
}

function vrfOf({ over }: Kind): string | undefined {
  return over === "ipv4 in a VRF" ? VRF : undefined;
}

/** IKE runs between 10.0.0.1 and 10.0.0.2 for all of them: in the default VRF. */
function karpSession(kind: Kind, n: 1 | 2): KarpSession {
  const { local, remote } = peeringOf(kind, n);
  const vrf = vrfOf(kind);
  const lines = [
    "driver: linux",
    `peer-address: 10.0.0.${3 - n}`,
    `algorithms: [${kind.algorithm}]`,
    `tcp-options: [${kind.tcpOptions}]`,
    ...(kind.over === "mapped" ? ["protocol: rpki-rtr"] : []),
    ...(vrf === undefined ? [] : [`vrf: ${vrf}`]),
  ];
  return { name: kind.name, local, remote, peer: routerName(n === 1 ? 2 : 1), lines };
}
