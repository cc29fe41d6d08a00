import assert from "node:assert/strict";
import test from "node:test";
import { type MktDecision, mktSelectors, NotifyType } from "@karp/ikev2";
import type { SessionConfiguration } from "../../src/core/configuration.ts";
import { assertNoViolations, configurationOf, keyed, makePair, type Pair, peerOf, rolled } from "./harness/pair.ts";

/** B gets more sessions beside the one with a. */
function extend({ b }: Pair, ...more: readonly Partial<SessionConfiguration>[]): void {
  const { router, peers, sessions } = configurationOf("b");
  const [session] = sessions;
  assert.ok(session !== undefined);
  const others = more.map((change, index) => ({ ...session, name: `s${index}`, ...change }));
  b.input({
    kind: "reconfigure",
    configuration: { router, peers: [...peers, peerOf("b", "c")], sessions: [session, ...others] },
  });
}

function ask({ b, world }: Pair, peer: string, recvId: number, remote?: string, port = 179): MktDecision | undefined {
  const address = (text: string): Uint8Array => Uint8Array.from(text.split("."), Number);
  const selectors = remote === undefined ? {} : mktSelectors(address("10.0.0.2"), address(remote), port);
  return b.policy?.consider({ peer, recvId, inIkeAuth: false, ...selectors }, world.now());
}

function refusal(decision: MktDecision | undefined): number | undefined {
  return decision?.kind === "refuse" ? decision.notifyType : undefined;
}

test("a RecvID is one key's among all of one VRF and peer address, whoever the peer is (RFC 5925 section 3.1)", () => {
  const pair = makePair();
  keyed(pair);
  const recvId = pair.b.keysIn("current")[0]?.recvId ?? 0;
  extend(
    pair,
    { peer: "c", remoteAddress: "10.0.0.1", port: 646, protocol: "ldp" },
    { peer: "c", remoteAddress: "10.0.0.3", port: 646, protocol: "ldp" },
  );
  assert.equal(refusal(ask(pair, "c", recvId, "10.0.0.1", 646)), NotifyType.KEYID_IN_USE, "ports tell no keys apart");
  assert.equal(ask(pair, "c", recvId, "10.0.0.3", 646)?.kind, "accept");
  extend(pair, { peer: "c", remoteAddress: "10.0.0.1", port: 646, protocol: "ldp", vrf: "blue" });
  assert.equal(ask(pair, "c", recvId, "10.0.0.1", 646)?.kind, "accept", "another VRF is another address");
});

test("a SendID is one key's among all of one peer identity, in all its sessions", () => {
  const pair = makePair();
  keyed(pair);
  const { sendId, recvId } = pair.b.keysIn("current")[0] ?? { sendId: 0, recvId: 0 };
  extend(pair, { remoteAddress: "10.0.0.9" });
  assert.equal(refusal(ask(pair, "a", recvId, "10.0.0.9")), NotifyType.KEYID_IN_USE, "it names a key of that peer");
  const decision = ask(pair, "a", 200, "10.0.0.9");
  assert.ok(decision?.kind === "accept" && decision.sendId !== sendId);
  assert.equal(decision.context, "s0");
});

test("KeyIDs in quarantine are in use, also after a restart", () => {
  const pair = makePair({ rollover: { drainSeconds: 5, keepOldSeconds: 5 } });
  keyed(pair);
  const old = pair.b.keysIn("current")[0]?.recvId ?? 0;
  rolled(pair, pair.a);
  assert.ok(
    pair.world.runUntil(() => pair.b.keys().some(({ recvId, state }) => recvId === old && state === "removed"), 120),
  );
  assert.equal(refusal(ask(pair, "a", old)), NotifyType.KEYID_IN_USE);
  pair.b.crash();
  pair.b.start();
  assert.equal(refusal(ask(pair, "a", old)), NotifyType.KEYID_IN_USE);
  pair.world.run(600);
  assert.equal(ask(pair, "a", old)?.kind, "accept");
});

test("without TS payloads a peer with two sessions means neither of them", () => {
  const pair = makePair();
  keyed(pair);
  assert.equal(ask(pair, "a", 200)?.kind, "accept");
  extend(pair, { remoteAddress: "10.0.0.9" });
  assert.equal(refusal(ask(pair, "a", 200)), NotifyType.TS_UNACCEPTABLE);
});

test("step 2: at most one successor is under way; a rekey that falls due replaces it", () => {
  const pair = makePair({ rollover: { hardSeconds: 24 * 3600 } });
  keyed(pair);
  const [current] = pair.a.keysIn("current");
  pair.b.daemon.script = Array.from({ length: 2000 }, () => ({ kind: "pending", reason: "held up" }) as const);
  const seen = new Set<string>();
  let several: number | undefined;
  pair.world.check = () => {
    const candidates = pair.a.keysIn("held", "installed", "preferred").filter(({ createdBy }) => createdBy === "ike");
    for (const { fingerprint } of candidates) seen.add(fingerprint);
    several = candidates.length > 1 ? (several ?? pair.world.milliseconds) : undefined;
    // Two are there while a simultaneous rekey is being decided.
    assert.ok(several === undefined || pair.world.milliseconds - several < 1000, `${candidates.length} successors`);
  };
  pair.world.run(5 * 3600);
  assert.ok(seen.size >= 3, `${seen.size} successors in turn`);
  assert.equal(pair.a.keysIn("current")[0]?.fingerprint, current?.fingerprint);
  assertNoViolations(pair);
});
