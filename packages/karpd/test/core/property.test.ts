import assert from "node:assert/strict";
import test from "node:test";
import type { KeyView } from "../../src/core/views.ts";
import { agree, assertNoViolations, keyed, makePair, type Pair, peerOf, rolled, seeded } from "./harness/pair.ts";
import { Disk, type Router } from "./harness/router.ts";

/** Another base gives other histories; a failure names its seed. */
const firstSeed = Number(process.env["KARP_SEED"] ?? "1");
const runs = Number(process.env["KARP_RUNS"] ?? (process.env["KARP_LONG"] === "1" ? "400" : "24"));
const stepsPerRun = process.env["KARP_LONG"] === "1" ? 120 : 40;

/** What both operators write next. */
const secrets = new WeakMap<Pair, string>();

/** Faults that may slow a rollover down, but are no excuse for a gap. */
const harmless: Readonly<Record<string, (pair: Pair, router: Router, random: () => number) => void>> = {
  rekey: (_, router) => void router.command({ kind: "RKMP_rekeySA", session: "r" }),
  rekeyBoth: ({ a, b }) => {
    a.command({ kind: "RKMP_rekeySA", session: "r" });
    b.command({ kind: "RKMP_rekeySA", session: "r" });
  },
  crash: ({ world }, router, random) => {
    if (router.core === undefined) return;
    router.crash();
    world.after(random() * 20_000, () => router.start());
  },
  crashSoon: (_, router, random) => {
    router.crashAt = router.effectCount + 1 + Math.floor(random() * 8);
    router.command({ kind: "RKMP_rekeySA", session: "r" });
  },
  partition: ({ world }, _, random) => {
    world.isPartitioned = true;
    world.after(random() * 120_000, () => {
      world.isPartitioned = false;
    });
  },
  loss: ({ world }, _, random) => {
    world.loss = random() * 0.4;
  },
  pending: (_, router, random) => {
    const count = 1 + Math.floor(random() * 5);
    for (let index = 0; index < count; index++)
      router.daemon.script.push({ kind: "pending", reason: "bird.conf is being edited" });
  },
  slowDriver: (_, router, random) => {
    router.daemon.latencyMilliseconds = 10 + random() * 20_000;
  },
  fastDriver: (_, router) => {
    router.daemon.latencyMilliseconds = 20;
  },
  resetTcp: ({ tcp }) => tcp.reset(),
  idleTcp: ({ tcp, world }, _, random) => {
    tcp.isWanted = false;
    world.after(random() * 300_000, () => {
      tcp.isWanted = true;
    });
  },
  storeFails: ({ world }, router, random) => {
    router.disk.failure = "no space left on device";
    world.after(random() * 60_000, () => {
      router.disk.failure = undefined;
    });
  },
  freeze: (_, router, random) => void router.command({ kind: "freeze", session: "r", seconds: 1 + random() * 300 }),
  thaw: (_, router) => void router.command({ kind: "thaw" }),
  clock: ({ world }, _, random) => {
    world.wallOffset += (random() - 0.5) * 1e9;
  },
  /** Both operators change the pre-shared key, one after the other. */
  credential: (pair, router, random) => {
    secrets.set(pair, Buffer.from(Array.from({ length: 32 }, () => random() * 256)).toString("hex"));
    const change = (one: Router): void => {
      const peers = [peerOf(one.parts.name, one === pair.a ? "b" : "a", secrets.get(pair))];
      one.parts.configuration = { ...one.parts.configuration, peers };
      one.input({ kind: "reconfigure", configuration: one.parts.configuration });
    };
    change(router);
    pair.world.after(random() * 60_000, () => change(router === pair.a ? pair.b : pair.a));
  },
  wait: () => undefined,
};

/** Faults after which both ends have to agree again, but a gap is the daemon's own doing. */
const harmful: typeof harmless = {
  ...harmless,
  daemonLosesKeys: ({ excuses }, router) => {
    excuses.push("lost keys");
    router.daemon.loseKeys();
  },
  reportedLost: ({ excuses }, router) => {
    excuses.push("lost keys");
    router.daemon.loseKeys();
    router.daemon.script.push({ kind: "lost", reason: "the daemon was restarted" });
  },
  /** The machine is new: neither karp nor the routing daemon has a key. */
  storeLost: ({ excuses, tcp, world }, router, random) => {
    excuses.push("lost keys");
    router.crash();
    router.disk = new Disk();
    router.daemon.loseKeys();
    tcp.reset();
    world.after(random() * 20_000, () => {
      if (router.core === undefined) router.start();
    });
  },
  /** The store of some time ago is put back; the routing daemon goes on with what it has, where that is not a file of ours. */
  storeRestored: ({ excuses, world }, router, random) => {
    excuses.push("lost keys");
    const old = router.disk.copy();
    world.after(random() * 400_000, () => {
      router.crash();
      const { keys, foreign, observes } = router.daemon;
      if (observes) for (const [recvId, key] of keys) foreign.set(recvId, key);
      router.disk = old;
      router.start();
    });
  },
  lie: ({ excuses, world }, router, random) => {
    excuses.push("lie");
    router.daemon.lies = true;
    world.after(random() * 60_000, () => {
      router.daemon.lies = false;
    });
  },
};

function play(seed: number, faults: typeof harmless): { readonly pair: Pair; readonly history: readonly string[] } {
  const random = seeded(seed);
  const everySeconds = random() < 0.5 ? 600 : 120;
  const pair = makePair({
    seed: seed * 7919,
    engine: seed % 10 === 0 ? "real" : "fake",
    rollover: { everySeconds, hardSeconds: everySeconds * 3, drainSeconds: 20, keepOldSeconds: 60 },
  });
  // Some routing daemons show nothing: then there is only what the two ends say to one another
  for (const router of [pair.a, pair.b]) router.daemon.observes = seed % 4 !== 3;
  keyed(pair, 900);
  const names = Object.keys(faults);
  const history: string[] = [];
  for (let step = 0; step < stepsPerRun; step++) {
    const name = names[Math.floor(random() * names.length)] ?? "wait";
    const router = random() < 0.5 ? pair.a : pair.b;
    history.push(`${pair.world.milliseconds / 1000} ${name} ${router.parts.name}`);
    faults[name]?.(pair, router, random);
    pair.world.run(random() * (random() < 0.3 ? 200 : 10));
    if (pair.violations().length > 0) break;
  }
  return { pair, history };
}

/** The faults are over: the two find back to each other and roll as if nothing had been. */
function recover({ world, a, b, tcp }: Pair): void {
  world.isPartitioned = false;
  world.loss = 0;
  tcp.isWanted = true;
  for (const router of [a, b]) {
    router.disk.failure = undefined;
    router.crashAt = undefined;
    router.daemon.script = [];
    router.daemon.lies = false;
    router.daemon.latencyMilliseconds = 20;
    if (router.core === undefined) router.start();
    router.command({ kind: "thaw" });
  }
  world.run(1800);
  // A store that was put back meanwhile may have brought a freeze of then
  for (const router of [a, b]) router.command({ kind: "thaw" });
  world.run(120);
}

test(`invariants 1 to 5 hold in any order of ${stepsPerRun} faults that excuse no gap`, () => {
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const { pair, history } = play(seed, harmless);
    assert.deepEqual(pair.violations().slice(0, 3), [], explain(pair, seed, history));
    recover(pair);
    assert.deepEqual(pair.violations().slice(0, 3), [], explain(pair, seed, history));
    rolledAfter(pair, seed % 2 === 0 ? pair.a : pair.b, seed, history);
    pair.world.run(300);
    assertNoViolations(pair);
    assert.ok(
      pair.world.runUntil(() => agree(pair), 60),
      `seed ${seed}`,
    );
    assertNoLeak(pair, seed, history);
  }
});

test("both ends agree again after daemons lost keys and drivers lied (invariant 3)", () => {
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const { pair, history } = play(seed + 10_000, harmful);
    recover(pair);
    // What a hold timer does with a connection whose ends have no key in common any more
    pair.tcp.reset();
    pair.world.run(120);
    const drops = pair.tcp.drops.length;
    rolledAfter(pair, pair.a, seed, history);
    pair.world.run(600);
    // Its own next rollover may just be under way.
    assert.ok(
      pair.world.runUntil(() => agree(pair), 60),
      explain(pair, seed, history),
    );
    assert.equal(pair.tcp.drops.length, drops, explain(pair, seed, history));
    assert.ok(pair.tcp.isUp && pair.tcp.isSigned, explain(pair, seed, history));
    assertNoLeak(pair, seed, history);
  }
});

function rolledAfter(pair: Pair, router: Router, seed: number, history: readonly string[]): void {
  try {
    rolled(pair, router, 1200);
  } catch (error) {
    throw new Error(explain(pair, seed, history), { cause: error });
  }
}

/** Longer than any key of {@link play} takes from its negotiation to its removal. */
const LONGEST_LIFE_SECONDS = 3600;

/** No MKT is left behind: what is not current now is gone, at both ends, after the time that a key takes. */
function assertNoLeak(pair: Pair, seed: number, history: readonly string[]): void {
  const liveOf = (router: Router): readonly KeyView[] => router.keys().filter(({ state }) => state !== "removed");
  const before = [pair.a, pair.b].map((router) => liveOf(router).filter(({ state }) => state !== "current"));
  pair.world.run(LONGEST_LIFE_SECONDS);
  for (const [i, router] of [pair.a, pair.b].entries()) {
    const left = liveOf(router).filter(({ fingerprint }) => before[i]?.some((key) => key.fingerprint === fingerprint));
    const text = left.map(({ fingerprint, state, peerState }) => `${fingerprint} is ${state}, peer says ${peerState}`);
    const about = left.map(({ fingerprint }) => fingerprint);
    assert.deepEqual(text, [], `${router.parts.name}: ${explain(pair, seed, history, about)}`);
    const alive = liveOf(router).length;
    assert.ok(alive <= 3, `seed ${seed}: ${router.parts.name} has ${alive} live keys`);
  }
}

/** What was done, and the last of what both ends said, or all that they said about these keys. */
function explain({ a, b }: Pair, seed: number, history: readonly string[], about: readonly string[] = []): string {
  const isWanted = (line: string): boolean => about.length === 0 || about.some((name) => line.includes(name));
  const log = [...a.log, ...b.log].filter(isWanted).sort((x, y) => Number.parseFloat(x) - Number.parseFloat(y));
  return [`KARP_SEED=${seed}`, ...history, ...log.slice(-120)].join("\n");
}
