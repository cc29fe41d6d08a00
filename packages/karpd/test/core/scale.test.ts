import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { type Instant, type Now, parseIdentity, Secret, type UnixMilliseconds } from "@karp/ikev2";
import type { Configuration } from "../../src/core/configuration.ts";
import { DaemonCore } from "../../src/core/daemonCore.ts";
import type { KeyTableRow } from "../../src/core/keytable/row.ts";
import { configurationOf, seeded } from "./harness/pair.ts";

const wall = 1_790_000_000_000 as UnixMilliseconds;

/** A core with `count` sessions, each with a key in use; the engine and the drivers say nothing. */
function makeCore(count: number): { readonly core: DaemonCore; readonly now: Now } {
  const random = seeded(1);
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => Math.floor(random() * 256));
  const digest = (hash: string, ...data: readonly Uint8Array[]): Uint8Array =>
    new Uint8Array(createHash(hash).update(Buffer.concat(data)).digest());
  const { peers, sessions, router } = configurationOf("a");
  const [peer] = peers;
  const [session] = sessions;
  assert.ok(peer !== undefined && session !== undefined);
  const configuration: Configuration = {
    router,
    peers: Array.from({ length: count }, (_, index) => ({
      ...peer,
      name: `p${index}`,
      remoteIdentity: parseIdentity(`p${index}.example.net`) ?? peer.remoteIdentity,
    })),
    sessions: Array.from({ length: count }, (_, index) => ({
      ...session,
      name: `s${index}`,
      peer: `p${index}`,
      remoteAddress: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
    })),
  };
  const rows = configuration.sessions.map(
    ({ name, remoteAddress }, index): KeyTableRow => ({
      adminKeyName: `${name}/0000000000000001`,
      session: name,
      recvId: 1,
      sendId: 1,
      peers: [remoteAddress],
      interfaces: "all",
      protocol: "TCP-AO",
      protocolSpecificInfo: {
        routingProtocol: "bgp",
        port: 179,
        localAddress: "10.0.0.1",
        remoteAddress,
        coversTcpOptions: true,
      },
      algorithm: "aes-128-cmac-96",
      key: new Secret(bytes(16)),
      direction: "both",
      acceptLifetimeStart: wall,
      state: "current",
      createdBy: "ike",
      localIdentity: "a.example.net",
      peerIdentity: `p${index}.example.net`,
      credentialFingerprint: "psk:x",
      generation: 3,
      history: { held: wall, current: wall },
      peerState: 2,
      peerReason: "",
      toldState: 2,
      softExpiresAt: (wall + 3_600_000 + index) as UnixMilliseconds,
      hardExpiresAt: (wall + 9_000_000) as UnixMilliseconds,
    }),
  );
  const now: Now = { monotonic: 1000 as Instant, wall };
  const core = new DaemonCore({
    crypto: { random: bytes, digest },
    configuration,
    snapshot: { rows, facts: new Map() },
    now,
    drivers: { observes: () => true },
    createIke: () => ({ handle: () => [], nextDeadline: () => undefined }),
    mayUseKeys: () => false,
  });
  return { core, now };
}

/** Median microseconds of one input that touches one association. */
function costOfAnInput(count: number): number {
  const { core, now } = makeCore(count);
  const observes = core
    .handle({ kind: "timeout" }, now)
    .flatMap((effect) => (effect.kind === "observe" ? [effect.requestId] : []));
  assert.equal(observes.length, count);
  const costs = observes.slice(0, 2000).map((requestId) => {
    const start = performance.now();
    core.handle(
      {
        kind: "observed",
        requestId,
        outcome: { kind: "observed", observation: { connections: 1, currentSendId: 1, rnextRecvId: 1 } },
      },
      now,
    );
    return (performance.now() - start) * 1000;
  });
  return costs.sort((a, b) => a - b)[costs.length >> 1] ?? 0;
}

test("an input costs no more with many associations than with few", () => {
  costOfAnInput(2000);
  const few = costOfAnInput(2000);
  const many = costOfAnInput(process.env["KARP_LONG"] === "1" ? 100_000 : 20_000);
  assert.ok(many < few * 4 + 20, `${few.toFixed(1)} us with 2,000, ${many.toFixed(1)} us with many`);
});
