import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  type IkeEffect,
  IkeEndpoint,
  type IkeInput,
  type IkePeer,
  type Machine,
  type MktPolicy,
  parseIdentity,
  Secret,
} from "@karp/ikev2";
import { NodeCryptoProvider } from "@karp/ikev2/node";
import type { Configuration, RolloverConfiguration, SessionConfiguration } from "../../../src/core/configuration.ts";
import type { Rules } from "../../../src/core/gatekeeper/rules.ts";
import { FakeIke } from "./fakeIke.ts";
import { Router } from "./router.ts";
import { RoutingDaemon } from "./routingDaemon.ts";
import { TcpSession } from "./tcpSession.ts";
import { World } from "./world.ts";

export const hour = 3600;

export interface PairOptions {
  readonly seed?: number;
  readonly mode?: SessionConfiguration["mode"];
  readonly modeB?: SessionConfiguration["mode"];
  readonly rollover?: Partial<RolloverConfiguration>;
  readonly session?: Partial<SessionConfiguration>;
  /** Where b differs. */
  readonly sessionB?: Partial<SessionConfiguration>;
  readonly speaksKarp?: boolean;
  readonly engine?: "fake" | "real";
  readonly rulesA?: Rules;
  readonly rulesB?: Rules;
  /** Routers are made, but not started. */
  readonly isStopped?: boolean;
}

export const defaultRollover: RolloverConfiguration = {
  everySeconds: hour,
  jitter: 0.1,
  hardSeconds: 3 * hour,
  drainSeconds: 60,
  keepOldSeconds: 24 * hour,
  settleSeconds: 30,
  quarantineSeconds: 240,
  orphanSeconds: 600,
  preferTimeoutSeconds: 30,
};

export interface Pair {
  readonly world: World;
  readonly a: Router;
  readonly b: Router;
  readonly tcp: TcpSession;
  /** Faults that excuse a gap: a lie, a revocation, lost keys. */
  readonly excuses: string[];
  violations(): readonly string[];
}

/** Two routers with one session between them, on one virtual clock. */
export function makePair(options: PairOptions = {}): Pair {
  const world = new World();
  const random = seeded(options.seed ?? 1);
  world.random = random;
  const daemons = [new RoutingDaemon("a"), new RoutingDaemon("b")] as const;
  const tcp = new TcpSession(...daemons);
  const routers = (["a", "b"] as const).map((name, index) =>
    makeRouter(world, name, daemons[index] ?? daemons[0], random, options),
  );
  const [a, b] = routers;
  if (a === undefined || b === undefined) throw new Error("two routers");
  const excuses: string[] = [];
  world.routers.push(a, b);
  world.sessions.push(tcp);
  world.onRevoked = () => {
    excuses.push("revoked");
    tcp.reset();
  };
  const alone: string[] = [];
  const shared = new Set<RoutingDaemon>();
  world.check = () => {
    alone.push(...prefersAlone(tcp, shared));
  };
  world.startTraffic();
  if (options.isStopped !== true) {
    a.start();
    world.after(10, () => b.start());
  }
  const violations = (): readonly string[] => [
    ...daemons.flatMap(({ faults }) => faults),
    ...(excuses.length > 0 ? [] : [...tcp.drops, ...alone]),
  ];
  return { world, a, b, tcp, excuses, violations };
}

/** Invariant 3, as seen from outside: what one daemon prefers, the other accepts, once they had a key in common. */
function prefersAlone(tcp: TcpSession, shared: Set<RoutingDaemon>): readonly string[] {
  if (!tcp.wasKeyed) return [];
  const ends = [[tcp.a, tcp.b] as const, [tcp.b, tcp.a] as const];
  return ends.flatMap(([one, other]) => {
    const key = [...one.keys.values()].find(({ use }) => use === "preferred");
    const isShared = key === undefined || other.keyForRecvId(key.sendId)?.key === key.key;
    if (isShared && key !== undefined) shared.add(one);
    return isShared || !shared.has(one) ? [] : [`${one.name} prefers KeyID ${key.sendId} alone`];
  });
}

function makeRouter(
  world: World,
  name: "a" | "b",
  daemon: RoutingDaemon,
  random: () => number,
  options: PairOptions,
): Router {
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => Math.floor(random() * 256));
  const digest = (hash: string, ...data: readonly Uint8Array[]): Uint8Array => {
    const digester = createHash(hash);
    for (const part of data) digester.update(part);
    return new Uint8Array(digester.digest());
  };
  const node = new NodeCryptoProvider();
  const createIke = (policy: MktPolicy): Machine<IkeInput, IkeEffect> =>
    options.engine === "real"
      ? new IkeEndpoint({ crypto: node, policy })
      : new FakeIke({ policy, random: bytes, speaksKarp: options.speaksKarp ?? true });
  const rules = name === "a" ? options.rulesA : options.rulesB;
  return new Router({
    name,
    world,
    daemon,
    createIke,
    crypto: { random: bytes, digest },
    configuration: configurationOf(name, options),
    ...(rules === undefined ? {} : { rules }),
  });
}

export function configurationOf(name: "a" | "b", options: PairOptions = {}): Configuration {
  const other = name === "a" ? "b" : "a";
  const mode = (name === "b" ? options.modeB : undefined) ?? options.mode ?? "required";
  return {
    router: `${name}.example.net`,
    peers: [peerOf(name, other)],
    sessions: [
      {
        name: "r",
        protocol: "bgp",
        port: 179,
        driver: "fake",
        driverSettings: {},
        localAddress: addressOf(name),
        remoteAddress: addressOf(other),
        peer: other,
        mode,
        algorithms: ["aes-128-cmac-96", "hmac-sha-1-96"],
        tcpOptions: ["covered"],
        pfs: false,
        reservedKeyIds: [],
        keyReaders: [],
        rollover: { ...defaultRollover, ...options.rollover },
        onExpiry: "keep-and-alarm",
        ...options.session,
        ...(name === "b" ? options.sessionB : {}),
      },
    ],
  };
}

function addressOf(name: string): string {
  return name === "a" ? "10.0.0.1" : "10.0.0.2";
}

export function peerOf(name: string, other: string, secret = "0123456789abcdef0123456789abcdef"): IkePeer {
  const identity = (of: string): IkePeer["localIdentity"] => {
    const parsed = parseIdentity(`${of}.example.net`);
    if (parsed === undefined) throw new Error("identity");
    return parsed;
  };
  const psk = { kind: "psk", secret: new Secret(new TextEncoder().encode(secret)) } as const;
  return {
    name: other,
    localIdentity: identity(name),
    remoteIdentity: identity(other),
    local: { address: addressOf(name), port: 500 },
    remote: { address: addressOf(other), port: 500 },
    localAuthentication: psk,
    remoteAuthentication: psk,
    suites: [{ encryption: [{ id: 20, keyLengthBits: 128 }], integrity: [], prf: [5], keyExchange: [31] }],
    rekeyAfterSeconds: 8 * hour,
    reauthenticateAfterSeconds: 90 * 24 * hour,
    livenessAfterSeconds: 300,
  };
}

/** mulberry32 */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Both ends use one and the same key as current. */
export function agree({ a, b }: Pair): boolean {
  const [one] = a.keysIn("current");
  const [other] = b.keysIn("current");
  return one !== undefined && one.fingerprint === other?.fingerprint;
}

/** Runs until both ends are keyed and agree. */
export function keyed(pair: Pair, seconds = 120): void {
  assert.ok(
    pair.world.runUntil(() => agree(pair), seconds),
    `not keyed: ${JSON.stringify([pair.a.rollover(), pair.b.rollover()], null, 1)}`,
  );
}

/** Asks `router` for a rollover and runs until both ends use the new key. */
export function rolled(pair: Pair, router: Router, seconds = 120): void {
  const [before] = router.keysIn("current");
  const reply = router.ask({ kind: "RKMP_rekeySA", session: "r" });
  assert.equal(reply?.ok, true, reply?.text);
  const isRolled = (): boolean => agree(pair) && router.keysIn("current")[0]?.fingerprint !== before?.fingerprint;
  assert.ok(
    pair.world.runUntil(isRolled, seconds),
    `not rolled: ${JSON.stringify([pair.a.rollover(), pair.b.rollover()], null, 1)}`,
  );
}

export function assertNoViolations(pair: Pair): void {
  assert.deepEqual(pair.violations().slice(0, 5), []);
}
