// r1 has 500 sessions in one bird.conf of 30 MB; r2 is one BIRD with 500 addresses, and has no karp.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { Bird, moreProtocol } from "../../lib/bird.ts";
import { must } from "../../lib/exec.ts";
import { Karp, type KarpSession } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { addLink, addNamespace } from "../../lib/network.ts";
import type { Peering } from "../../lib/routingDaemon.ts";
import { routerName } from "../../lib/twoRouters.ts";
import type { VerifierMkt } from "../../lib/verify.ts";

export const SESSIONS = 500;
export const CONFIGURATION_MEGABYTES = 30;
/** Of the dated keys: the second is accepted three quarters of it after the start, and sent with at its end. */
export const PERIOD_SECONDS = 60;

export const INTERVAL_SECONDS = 5;

const NUMBERS = Array.from({ length: SESSIONS }, (_, i) => i + 1);
const NEAR = "10.0.0.1";
/** As on a router with many sessions: BIRD's own defaults, so that keepalives are not what is measured. */
const TIMERS = "hold time 240; keepalive time 80;";

export interface ManySessions {
  readonly near: Bird;
  readonly far: Bird;
  readonly karp: Karp;
}

export function sessionName(n: number): string {
  return `p${n}`;
}

export function farAddress(n: number): string {
  return `10.1.${n >> 8}.${n & 255}`;
}

function keyFile(router: "r1" | "r2", n: number): string {
  return `/var/lib/lab/${router}/keys/${sessionName(n)}.conf`;
}

export async function setUpMany(lab: Lab): Promise<ManySessions> {
  for (const name of ["r1", "r2"]) await addNamespace(name);
  const side = (namespace: string, addresses: readonly string[]) => ({ namespace, name: "e0", addresses });
  await addLink(side("r1", [`${NEAR}/8`]), side("r2", ["10.0.0.2/8"]));
  const commands = NUMBERS.map((n) => `addr add ${farAddress(n)}/32 dev e0\n`).join("");
  await must(["ip", "-n", "r2", "-batch", "-"], { input: commands });
  // Who connects is settled, so that each session is one connection. BIRD's listeners queue 8 connections: 500 that all
  // came to r1's one would be half open for minutes
  const near = makeBird(lab, "r1", [...prefixTables()], ["connect retry time 5;"]);
  // For r2 all sessions are with one address, and their KeyIDs the same: each has a listener of its own
  const far = makeBird(lab, "r2", [], ["strict bind yes;", "passive;"]);
  return { near, far, karp: makeKarp(lab, near) };
}

function peeringOf(router: "r1" | "r2", n: number): Peering & { readonly keyFile: string } {
  const [near, far] = [
    { address: NEAR, as: 65001 },
    { address: farAddress(n), as: 65002 },
  ];
  const [local, remote] = router === "r1" ? [near, far] : [far, near];
  return {
    protocol: sessionName(n),
    ...{ local: local.address, localAs: local.as, remote: remote.address, remoteAs: remote.as },
    keyFile: keyFile(router, n),
  };
}

function makeBird(lab: Lab, router: "r1" | "r2", lines: readonly string[], protocolLines: readonly string[]): Bird {
  const [first = 1, ...others] = NUMBERS;
  const words = [TIMERS, ...protocolLines];
  const blocks = others.map((n) => moreProtocol(peeringOf(router, n), [...words, `include "${keyFile(router, n)}";`]));
  mkdirSync(`/var/lib/lab/${router}/keys`, { recursive: true });
  const made = new Bird(lab, {
    // BIRD 3.4.0 ends with a failed assertion (lib/event.c) when one `configure` restarts as many protocols
    version: 2,
    namespace: router,
    routerId: router === "r1" ? "1.1.1.1" : "2.2.2.2",
    peering: peeringOf(router, first),
    routes: [],
    protocolLines: words,
    configurationLines: [...lines, ...blocks],
  });
  for (const n of NUMBERS) made.writeKeyFile("# no key yet\n", keyFile(router, n));
  return made;
}

/** What makes such a bird.conf large in practice: the prefixes that each neighbour may announce, and where they come from. */
function* prefixTables(): Generator<string> {
  const origin = "# route object of AS-LAB-CUSTOMERS, source LAB, checked 2026-11-30T02:00:00Z";
  const line = (n: number): string => `${origin}\n  100.${n >> 8}.${n & 255}.0/24{24,32}`;
  const table = Array.from({ length: 2000 }, (_, n) => line(n)).join(",\n");
  let octets = 0;
  for (let n = 1; octets < CONFIGURATION_MEGABYTES * 1e6; n++) {
    const text = `define prefixes_${n} = [\n${table}\n];`;
    octets += text.length;
    yield text;
  }
}

function makeKarp(lab: Lab, near: Bird): Karp {
  const words = (n: number): string =>
    JSON.stringify({
      include: keyFile("r1", n),
      control: near.controlSocket,
      config: near.configuration,
      "configure-interval": `${INTERVAL_SECONDS}s`,
    });
  const session = (n: number): KarpSession => ({
    name: sessionName(n),
    local: NEAR,
    remote: farAddress(n),
    peer: "none",
    lines: ["driver: bird", `bird: ${words(n)}`, `solo: { keys: 2, every: ${PERIOD_SECONDS}s }`],
  });
  const [first = 1, ...others] = NUMBERS;
  const options = {
    namespace: "r1",
    router: routerName(1),
    credentials: undefined,
    sessions: [session(first), ...others.map(session)] as const,
    rollover: { every: "1h", drain: "1s", "keep-old": "2s", settle: "1s", "prefer-timeout": "120s" },
  };
  return new Karp(lab, options, "required");
}

/** What `POST /v1/handout` gives for one session, as far as it is read here. */
export interface Handout {
  readonly keys: readonly { readonly sendId: number; readonly recvId: number; readonly masterKey: string }[];
}

/** Every session's two dated keys, as a person would be given them. */
export async function handOutAll({ karp }: ManySessions): Promise<readonly Handout[]> {
  const given: Handout[] = [];
  for (const n of NUMBERS) {
    const reply = await karp.control.call("POST", "/v1/handout", { session: sessionName(n), again: false });
    given.push((reply as { readonly handout: Handout }).handout);
  }
  return given;
}

/** r2 accepts both keys from the start, as its operator would have it, and asks for this one. */
export function writeFarKeys(handouts: readonly Handout[], preferred: number): void {
  for (const [i, { keys }] of handouts.entries()) {
    const lines = keys.map(({ sendId, recvId, masterKey }, place) => {
      const use = place === preferred ? " preferred;" : "";
      return `key { send id ${recvId}; recv id ${sendId}; secret "${masterKey}"; algorithm cmac aes128;${use} };`;
    });
    writeFileSync(keyFile("r2", i + 1), `authentication ao;\nkeys {\n${lines.join("\n")}\n};\n`);
  }
}

/** In how many of r1's files this key stands. */
export function filesWith(keyId: number): number {
  return NUMBERS.filter((n) => readFileSync(keyFile("r1", n), "utf8").includes(`send id ${keyId};`)).length;
}

/** The keys of a session as the verifier wants them. */
export function mktsOf(n: number, { keys }: Handout): readonly VerifierMkt[] {
  return keys.map(({ sendId, recvId, masterKey }) => ({
    name: `${sessionName(n)} ${sendId}`,
    algorithm: "aes-128-cmac-96",
    keyHex: Buffer.from(masterKey).toString("hex"),
    tcpOptions: true,
    ends: [
      { address: NEAR, sendId, recvId },
      { address: farAddress(n), sendId: recvId, recvId: sendId },
    ],
  }));
}

/** Every `protocol bgp` of a BIRD by its name, as `show protocols all` tells. */
export interface SeenSession {
  readonly isUp: boolean;
  readonly since: string;
  readonly current: number | undefined;
  readonly rnext: number | undefined;
}

export async function seenSessions(bird: Bird): Promise<ReadonlyMap<string, SeenSession>> {
  const text = await bird.birdc("show", "protocols", "all");
  const seen = new Map<string, SeenSession>();
  for (const part of text.split(/\n(?=p\d+ +BGP )/)) {
    const row = /^(p\d+) +BGP +\S+ +(\S+) +(\d\S* \d\S*) *(\S*)/.exec(part);
    if (row === null) continue;
    const [, name = "", , since = "", info = ""] = row;
    const number = (label: string): number | undefined => {
      const found = new RegExp(`${label}: +(\\d+)`).exec(part)?.[1];
      return found === undefined ? undefined : Number(found);
    };
    const keys = { current: number("Current key"), rnext: number("RNext key") };
    seen.set(name, { isUp: info === "Established", since, ...keys });
  }
  return seen;
}
