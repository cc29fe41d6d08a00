import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as nextTurn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { DemoRouter } from "../../src/cli/demo/layOut.ts";
import { type DemoParts, runDemo } from "../../src/cli/demo/runDemo.ts";
import type { RouterState, RunningRouter } from "../../src/cli/demo/runningRouter.ts";
import type { DemoView } from "../../src/cli/demo/views.ts";
import { found, karp, until } from "../daemon/site.ts";
import { Relay } from "./relay.ts";

const faultyDaemon = fileURLToPath(new URL("./faultyDaemon.ts", import.meta.url));

/** Remembers what it is shown. */
class Watching implements DemoView {
  latest: readonly RouterState[] = [];
  readonly events: string[] = [];
  started(): void {}
  states(states: readonly RouterState[]): void {
    this.latest = states;
  }
  event(router: string, event: Readonly<Record<string, unknown>>): void {
    this.events.push(`${router} ${String(event["text"])}`);
  }
}

/** Runs the demo with a fault at one of the routers; the other is as it should be. */
function demoWith(faultOf: Readonly<Partial<Record<"r1" | "r2", string>>>, parts: Partial<DemoParts> = {}) {
  const view = new Watching();
  const controller = new AbortController();
  const done = runDemo({
    seconds: 90,
    daemonArguments: ({ name, configuration }: DemoRouter) => {
      const fault = faultOf[name as "r1" | "r2"];
      return fault === undefined
        ? [karp, "run", "--config", configuration, "--log-level", "warn"]
        : [faultyDaemon, fault, configuration];
    },
    view,
    kernelTcpAo: false,
    signal: controller.signal,
    ...parts,
  });
  /** Until the watcher has seen it, then the demo is ended as by Ctrl-C. */
  const endOnce = async (isSeen: (states: readonly RouterState[]) => boolean) => {
    const ended = done.then(() => true);
    await until(
      async () => isSeen(view.latest) || (await Promise.race([ended, false])),
      () => `not seen: ${JSON.stringify(view.latest)}\n${view.events.join("\n")}`,
      90_000,
    );
    controller.abort();
    return await done;
  };
  return { view, controller, done, endOnce };
}

/** The daemons as they should be, with this relay between them. */
function through(relay: Relay): DemoParts["daemonArguments"] {
  return (router) => {
    relay.insert(router);
    return [karp, "run", "--config", router.configuration, "--log-level", "warn"];
  };
}

const BLACK_OUT_MILLISECONDS = 10_000;

function total(states: readonly RouterState[], name: string): number {
  return states.reduce((sum, { statistics }) => sum + (statistics[name] ?? 0), 0);
}

const atLeast = (rollovers: number) => (states: readonly RouterState[]) =>
  states.length === 2 && states.every((state) => state.rollovers >= rollovers && state.rollover?.step !== "preferred");

describe("karp demo", { concurrency: 5 }, () => {
  test("two daemons, two rollovers, at least two segments a second each way, no reject, no gap", async () => {
    const from = performance.now();
    const { view, endOnce } = demoWith({});
    const { ok, why, summary } = await endOnce(atLeast(2));
    assert.ok(ok, why);
    assert.deepEqual(Object.keys(summary), [
      "event",
      "rollovers",
      "segmentsVerified",
      "segmentsRejected",
      "gaps",
      "kernelTcpAo",
    ]);
    assert.equal(summary.event, "summary");
    assert.ok(summary.rollovers >= 2);
    assert.equal(summary.segmentsRejected, 0);
    assert.equal(summary.gaps, 0);
    assert.equal(summary.kernelTcpAo, false);
    const seconds = (performance.now() - from) / 1000;
    for (const { statistics } of view.latest)
      assert.ok((statistics["segmentsVerified"] ?? 0) > 2 * (seconds - 4), JSON.stringify(statistics));
    assert.equal(summary.segmentsVerified, total(view.latest, "segmentsVerified"), "what the receivers counted");
  });

  test("SendIDs and RecvIDs that differ are no fault", async () => {
    const { view, endOnce } = demoWith({ r1: "shifted" });
    const { ok, why } = await endOnce(atLeast(2));
    assert.ok(
      ok,
      `${why}\n${JSON.stringify(view.latest.map(({ statistics }) => statistics))}${view.events.join("\n")}`,
    );
    const [r1, r2] = view.latest.map(({ keys }) => keys.find(({ state }) => state === "current"));
    assert.notEqual(r1?.sendId, r1?.recvId);
    assert.equal(r1?.sendId, r2?.recvId);
  });

  test("fault: SendID and RecvID swapped at one end: rejects, and the demo fails", async () => {
    const { endOnce } = demoWith({ r1: "swapped", r2: "shifted" });
    const { ok, why, summary } = await endOnce((states) => total(states, "segmentsRejected") > 0);
    assert.equal(ok, false);
    assert.ok(summary.segmentsRejected > 0);
    assert.match(why, /segments? rejected/);
  });

  test("fault: one key corrupted at one end: rejects, and the demo fails", async () => {
    const { endOnce } = demoWith({ r2: "corrupted" });
    const { ok, why, summary } = await endOnce((states) => total(states, "segmentsRejected") > 0);
    assert.equal(ok, false);
    assert.ok(summary.segmentsRejected > 0);
    assert.ok(summary.segmentsVerified > 0, "the first key was right");
    assert.match(why, /segments? rejected/);
  });

  test("fault: ten seconds without a segment either way: a gap at each end, and the demo fails", async (t) => {
    const relay = await Relay.open();
    t.after(() => relay.close());
    const { view, endOnce } = demoWith({}, { daemonArguments: through(relay) });
    let from: number | undefined;
    const { ok, why, summary } = await endOnce((states) => {
      if (from === undefined && states.length === 2 && atLeast(1)(states)) from = performance.now();
      relay.isCut = from !== undefined && performance.now() - from < BLACK_OUT_MILLISECONDS;
      return !relay.isCut && states.length === 2 && states.every((state) => total([state], "gaps") > 0);
    });
    assert.equal(ok, false, JSON.stringify(view.latest.map(({ statistics }) => statistics)));
    assert.ok(summary.gaps >= 2);
    assert.equal(summary.segmentsRejected, 0);
    assert.match(why, /\d+ gaps in the stream of segments/);
  });

  test("fault: no segment any more until the end: the demo fails, whatever it counted before", async (t) => {
    const relay = await Relay.open();
    t.after(() => relay.close());
    const { endOnce } = demoWith({}, { daemonArguments: through(relay) });
    const { ok, why } = await endOnce((states) => {
      relay.isCut ||= atLeast(2)(states);
      return relay.isCut;
    });
    assert.equal(ok, false);
    assert.match(why, /^ended early: one end heard nothing from the other in the end$/);
  });

  for (const router of ["r1", "r2"] as const) {
    test(`fault: ${router} closes its connection: gaps, and the demo fails`, async () => {
      const { endOnce } = demoWith({ [router]: "closing" });
      const { ok, why, summary } = await endOnce((states) => total(states, "gaps") > 0);
      assert.equal(ok, false);
      assert.ok(summary.gaps > 0);
      assert.match(why, /gaps? in the stream of segments/);
    });
  }

  test("fault: ready told before the driver has the key: whoever connects with it is rejected", async () => {
    let running: readonly RunningRouter[] = [];
    const { view, endOnce } = demoWith({ r2: "readyTooEarly" }, { onStarted: (daemons) => (running = daemons) });
    const isRejected = (states: readonly RouterState[]): boolean => total(states, "segmentsRejected") > 0;
    // r1 takes r2's word, and then has to connect anew: with a key that r2 does not have yet
    const preferred = () => view.latest[0]?.keys.find(({ state, sendId }) => state === "preferred" && sendId > 1);
    const tried = new Set<string>();
    let isOver = false;
    const killing = (async () => {
      while (!isOver && !isRejected(view.latest)) {
        const { fingerprint } = preferred() ?? {};
        if (fingerprint !== undefined && !tried.has(fingerprint)) {
          tried.add(fingerprint);
          await found(running[0], "r1").killAndRestart();
        }
        await nextTurn(100);
      }
    })();
    const { ok, summary } = await endOnce(isRejected);
    isOver = true;
    await killing;
    assert.equal(ok, false);
    assert.ok(summary.segmentsRejected > 0);
  });

  test("fault: ready never told: the first key never goes into use, and the demo fails", async () => {
    const { view, endOnce } = demoWith({ r1: "neverReady", r2: "neverReady" });
    const { ok, why, summary } = await endOnce((states) => states.some(({ keys }) => keys.length > 0));
    assert.equal(ok, false);
    assert.equal(summary.rollovers, 0);
    assert.match(why, /only 0 rollovers at both ends \(2 are needed\); the two ends do not use the same key/);
    assert.ok(view.latest.every(({ keys }) => keys.every(({ state }) => state !== "current")));
  });

  test("a daemon that cannot start says why", async () => {
    const { done } = demoWith(
      {},
      {
        daemonArguments: ({ name, configuration }) => [
          karp,
          "run",
          "--config",
          name === "r2" ? `${configuration}.gone` : configuration,
        ],
      },
    );
    await assert.rejects(done, {
      name: "CommandFailure",
      message: /^daemon r2 did not start: .*karp\.yaml\.gone.*does not exist/s,
    });
  });

  test("a daemon that ends by itself makes the demo fail", async () => {
    let running: readonly RunningRouter[] = [];
    const { endOnce } = demoWith({}, { onStarted: (daemons) => (running = daemons) });
    await until(
      () => running.length === 2,
      () => "not started",
    );
    process.kill(found(running[1]?.pid, "pid"), "SIGKILL");
    const { ok, why } = await endOnce((states) => states.some(({ lastWords }) => lastWords !== undefined));
    assert.equal(ok, false);
    assert.match(why, /daemon r2 has ended/);
  });

  test("ended before the daemons are up: a summary of nothing, and no daemon is left", async () => {
    const controller = new AbortController();
    controller.abort();
    const { ok, why, summary } = await demoWith({}, { signal: controller.signal }).done;
    assert.equal(ok, false);
    assert.match(why, /^ended early: only 0 rollovers/);
    assert.equal(summary.segmentsVerified, 0);
  });
});
