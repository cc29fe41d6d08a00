import assert from "node:assert/strict";
import test from "node:test";
import { granted, type Permission } from "../../src/core/gatekeeper/permission.ts";
import { defaultRules, type Rules } from "../../src/core/gatekeeper/rules.ts";
import { agree, keyed, makePair, type Pair, type PairOptions } from "./harness/pair.ts";

const refused: Permission = { isGranted: false, whom: "peer", because: "" };

/** Each rule of A broken in turn: something outside of the core has to notice. */
const mutations: Readonly<Record<string, Partial<Rules>>> = {
  "prefer before ready": { mayPrefer: (_, { acceptance }) => (acceptance.name === "accepted" ? granted : refused) },
  "ready before the driver": { mayTellReady: () => true },
  "remove without drain and keep-old": {
    mayRemove: ({ preferred }, mkt) => (preferred === mkt ? refused : granted),
  },
  "replaced keys never removed": { mayRemove: () => refused },
  "SendID and RecvID swapped": { idsOf: ({ sendId, recvId }) => ({ sendId: recvId, recvId: sendId }) },
  "KeyIDs reused at once": { mayReuseKeyIds: (_, { situation }) => (situation.name === "removed" ? granted : refused) },
  "reply before it is stored": { mayCommit: () => true },
  "rnext kept after withdrawn": { mayKeepPreferring: () => true },
  "ready while an own rekey is unanswered": { mayTellReady: (_, { acceptance }) => acceptance.name === "accepted" },
  "hard expiry removes the last key": { atHardExpiry: () => "close" },
  "orphans never collected": { isOrphan: () => refused },
  "nonce rule inverted": { isLoser: (mine, other) => mine.lowestNonce > other.lowestNonce },
};

/** What an onlooker finds wrong, in situations that each rule is there for. */
const scenarios: Readonly<Record<string, (make: (options?: PairOptions) => Pair) => readonly string[]>> = {
  collisions: (make) => {
    const pair = start(make({ rollover: { drainSeconds: 5, keepOldSeconds: 10 } }));
    const found: string[] = [];
    pair.world.filter = () => false;
    for (let count = 0; count < 5; count++) {
      pair.b.command({ kind: "RKMP_rekeySA", session: "r" });
      pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
      pair.world.run(120);
      if (!agree(pair)) found.push("the ends do not agree after a collision");
      for (const router of [pair.a, pair.b]) {
        if (router.keysIn("held", "installed", "preferred").length > 0)
          found.push("a key is left over from a collision");
      }
    }
    return [...found, ...pair.violations()];
  },

  "answers that take longer than drivers": (make) => {
    const pair = start(make());
    const found: string[] = [];
    for (let count = 0; count < 4; count++) {
      // B's request reaches A, and A's own is still unanswered, when A's driver is done already.
      pair.world.latencyMilliseconds = 900;
      pair.a.daemon.latencyMilliseconds = 5;
      pair.b.command({ kind: "RKMP_rekeySA", session: "r" });
      pair.world.run(0.5);
      pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
      pair.world.runUntil(() => {
        const isUnanswered = pair.a.rollover().step === "negotiating";
        const said = pair.a.told.filter(({ state }) => state === 1).map(({ sendId }) => sendId);
        const fresh = pair.a.keysIn("installed").some(({ sendId }) => said.includes(sendId));
        if (isUnanswered && fresh) found.push("ready was said while an own rekey is unanswered");
        return found.length > 0;
      }, 30);
      pair.world.run(1200);
    }
    return [...found, ...pair.violations()];
  },

  "a driver that takes its time, and delayed segments": (make) => {
    const pair = start(make());
    pair.world.segmentMilliseconds = () => 30 + 4000 * pair.world.random();
    for (const router of [pair.a, pair.b, pair.a]) {
      router.daemon.latencyMilliseconds = 15_000;
      pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
      pair.world.run(50);
      pair.tcp.reset();
      pair.world.run(60);
      router.daemon.latencyMilliseconds = 20;
      pair.world.run(1500);
    }
    return pair.violations();
  },

  "the peer falls back to the old key": (make) => {
    const pair = start(make());
    pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
    pair.world.runUntil(() => pair.a.keysIn("retiring").length > 0, 60);
    pair.world.run(20);
    // B's routing daemon is put back to what it had before the rollover: it still has the old key, and only that.
    const [old] = pair.b.keysIn("retiring");
    const kept = old === undefined ? undefined : pair.b.daemon.keys.get(old.recvId);
    if (kept === undefined) return ["the old key is gone before drain and keep-old"];
    pair.b.crash();
    pair.b.daemon.keys = new Map([[kept.recvId, { ...kept, use: "preferred" }]]);
    pair.tcp.reset();
    pair.world.run(30);
    return pair.tcp.isUp && pair.tcp.isSigned ? [] : ["the session does not come back with the old key"];
  },

  "old keys, once they are": (make) => {
    const pair = start(make({ rollover: { drainSeconds: 5, keepOldSeconds: 10 } }));
    pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
    pair.world.run(300);
    const left = [pair.a, pair.b].filter((router) => router.keysIn("retiring").length > 0);
    return [...left.map(({ parts: { name } }) => `${name} keeps a key that was replaced`), ...pair.violations()];
  },

  "few KeyIDs": (make) => {
    const reservedKeyIds = Array.from({ length: 253 }, (_, id) => id);
    const pair = make({
      mode: "opportunistic",
      session: { reservedKeyIds },
      rollover: { everySeconds: 100, drainSeconds: 5, keepOldSeconds: 5 },
    });
    start(pair);
    pair.world.run(2400);
    return pair.violations();
  },

  "a crash before the disk has the row": (make) => {
    const pair = start(make());
    pair.world.diskMilliseconds = 400;
    pair.b.command({ kind: "RKMP_rekeySA", session: "r" });
    pair.world.runUntil(() => pair.b.keysIn("held", "installed").length > 0, 10);
    const [promised] = pair.b.keysIn("held", "installed");
    const isOnDisk = [...pair.a.disk.rows.values()].some(({ sendId }) => sendId === promised?.recvId);
    return isOnDisk ? pair.violations() : ["a promised what it had not stored"];
  },

  "the peer withdraws a key": (make) => {
    const pair = start(make());
    pair.world.sessions.length = 0;
    pair.a.command({ kind: "RKMP_rekeySA", session: "r" });
    pair.world.runUntil(() => pair.a.keysIn("preferred").length > 0 && pair.b.keysIn("preferred").length > 0, 30);
    const [fresh] = pair.b.keysIn("preferred");
    const before = pair.violations();
    for (let count = 0; count < 40; count++) pair.b.daemon.script.push({ kind: "pending", reason: "held back" });
    if (fresh !== undefined) pair.b.daemon.keys.delete(fresh.recvId);
    pair.world.run(20);
    const isKept = fresh !== undefined && pair.a.daemon.preferred?.sendId === fresh.recvId;
    return isKept ? ["a prefers what b has withdrawn"] : before;
  },

  "a peer that answers, and is silent for ever": (make) => {
    const pair = start(make());
    pair.world.filter = (_, from) => from === pair.a && pair.a.keysIn("held", "installed").length > 0;
    pair.b.command({ kind: "RKMP_rekeySA", session: "r" });
    pair.world.run(5);
    pair.b.crash();
    pair.world.run(800);
    const found = pair.a.keysIn("held", "installed").length > 0 ? ["an orphan is left"] : [];
    pair.world.run(4 * 3600);
    const isClosed = pair.a.keysIn("current").length === 0;
    return [...found, ...(isClosed ? ["the last key is gone"] : []), ...pair.violations()];
  },
};

function start(pair: Pair): Pair {
  keyed(pair, 300);
  pair.world.run(5);
  return pair;
}

/** Where one end alone cannot do harm, as the other refuses. */
const brokenAtBothEnds: readonly Partial<Rules>[] = [mutations["KeyIDs reused at once"] ?? {}];

function findings(scenario: string, seed: number, broken: Partial<Rules>): readonly string[] {
  const rulesA = { ...defaultRules, ...broken };
  const rulesB = brokenAtBothEnds.includes(broken) ? rulesA : defaultRules;
  const make = (options: PairOptions = {}): Pair => makePair({ ...options, seed, rulesA, rulesB });
  try {
    return scenarios[scenario]?.(make) ?? [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

const seeds = [1, 2, 3, 4, 5];

for (const scenario of Object.keys(scenarios)) {
  test(`nothing is found wrong with the rules as they are: ${scenario}`, () => {
    for (const seed of seeds) assert.deepEqual(findings(scenario, seed, {}).slice(0, 3), [], `seed ${seed}`);
  });
}

for (const [name, broken] of Object.entries(mutations)) {
  test(`a broken rule is noticed within five seeds: ${name}`, () => {
    const found = Object.keys(scenarios).some((scenario) =>
      seeds.some((seed) => findings(scenario, seed, broken).length > 0),
    );
    assert.ok(found);
  });
}

test("the harness itself is not blind: a key taken from one daemon is a drop", () => {
  const pair = makePair();
  keyed(pair);
  pair.a.daemon.keys.clear();
  pair.world.run(3);
  assert.ok(pair.violations().length > 0);
});
