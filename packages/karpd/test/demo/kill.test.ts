import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { runDemo } from "../../src/cli/demo/runDemo.ts";
import type { RouterState, RunningRouter } from "../../src/cli/demo/runningRouter.ts";
import { found, karp, until } from "../daemon/site.ts";

const isLong = process.env["KARP_LONG"] === "1";
const MOMENTS = isLong ? 20 : 3;
/** A little more than a rollover of the demo takes: every moment of it may be hit. */
const LONGEST_WAIT_MILLISECONDS = isLong ? 5000 : 3500;

/** Numbers from 0 to 1 that a seed brings back (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const current = ({ keys }: RouterState) => keys.find(({ state }) => state === "current")?.fingerprint;

test("either daemon killed at random moments: the same keys, rollovers go on, no reject, no gap", async (t) => {
  const seed = Number(process.env["KARP_SEED"] ?? randomInt(2 ** 31));
  t.diagnostic(`KARP_SEED=${seed}, ${MOMENTS} moments`);
  const random = randomFrom(seed);
  const controller = new AbortController();
  const story: string[] = [];
  let running: readonly RunningRouter[] = [];
  let latest: readonly RouterState[] = [];
  const done = runDemo({
    seconds: 600,
    daemonArguments: ({ configuration }) => [karp, "run", "--config", configuration, "--log-level", "warn"],
    view: {
      started: () => undefined,
      states: (states) => {
        latest = states;
      },
      event: (router, event) => story.push(`${event["at"]} ${router} ${event["text"]}`),
    },
    kernelTcpAo: false,
    signal: controller.signal,
    onStarted: (daemons) => {
      running = daemons;
    },
  });
  const tell = () => `seed ${seed}\n${JSON.stringify(latest.map(({ statistics }) => statistics))}\n${story.join("\n")}`;
  try {
    const isKeyed = () => latest.length === 2 && latest.every((state) => current(state) !== undefined);
    await Promise.race([until(isKeyed, tell), done]);
    for (let moment = 0; moment < MOMENTS; moment++) {
      await delay(random() * LONGEST_WAIT_MILLISECONDS);
      const victim = found(running[random() < 0.5 ? 0 : 1], "a daemon");
      const before = current(await victim.look());
      story.push(`${new Date().toISOString()} KILL ${victim.router.name}, which uses ${before}`);
      await victim.killAndRestart();
      await victim.ready();
      const { keys } = await victim.look();
      // What was in use is there still; it may have been replaced since, by a key that both ends have
      assert.ok(before === undefined || keys.some(({ fingerprint }) => fingerprint === before), tell());
    }
    const reached = latest.map(({ rollovers }) => rollovers);
    const haveGoneOn = () => latest.every(({ rollovers }, index) => rollovers >= (reached[index] ?? 0) + 2);
    await Promise.race([until(haveGoneOn, tell, 40_000), done]);
  } finally {
    controller.abort();
  }
  const { ok, why, summary } = await done;
  assert.equal(summary.segmentsRejected, 0, tell());
  assert.ok(summary.rollovers >= 2, tell());
  assert.ok(ok, `a daemon that was started again is no fault: ${why}\n${tell()}`);
});
