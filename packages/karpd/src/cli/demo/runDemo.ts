import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ControlClient } from "../../control/client.ts";
import type { KeyView, RolloverView } from "../../core/views.ts";
import { type DemoRouter, layOut } from "./layOut.ts";
import type { DemoView } from "./views.ts";

export interface DemoParts {
  readonly seconds: number;
  /** Arguments of this node for `karp run` of one router; tests put a faulty daemon here. */
  readonly daemonArguments: (router: DemoRouter) => readonly string[];
  readonly view: DemoView;
  /** True where this kernel has TCP-AO. */
  readonly kernelTcpAo: boolean;
  /** Aborted by Ctrl-C: the demo ends early and says what it saw. */
  readonly signal: AbortSignal;
  /** Told once both daemons run: for tests that kill them. */
  readonly onStarted?: (daemons: readonly RunningRouter[]) => void;
}

export interface DemoSummary {
  readonly event: "summary";
  readonly rollovers: number;
  readonly segmentsVerified: number;
  readonly segmentsRejected: number;
  readonly gaps: number;
  readonly kernelTcpAo: boolean;
}

/** What one look at a daemon shows. `fingerprints` are those of the keys that are current. */
export interface RouterState {
  readonly name: string;
  readonly keys: readonly KeyView[];
  readonly rollover?: RolloverView;
  readonly statistics: Readonly<Record<string, number>>;
}

const SESSION = "demo";
const LOOK_EVERY_MILLISECONDS = 250;
const START_LIMIT_MILLISECONDS = 15_000;

/**
 * Two daemons, each a process with its own configuration, store and sockets, key one session and roll it. This process
 * only watches through their control sockets: it never holds a key.
 * Succeeds with two rollovers at both ends, equal keys, no reject and no gap.
 */
export async function runDemo(
  parts: DemoParts,
): Promise<{ readonly ok: boolean; readonly why: string; readonly summary: DemoSummary }> {
  const folder = await mkdtemp(join(tmpdir(), "karp-demo-"));
  const routers = (await layOut(folder)).map((router) => new RunningRouter(router, parts));
  try {
    for (const router of routers) router.start();
    await Promise.all(routers.map((router) => router.ready(parts.signal)));
    parts.onStarted?.(routers);
    parts.view.started(
      routers.map(({ router }) => router),
      parts.kernelTcpAo,
    );
    const states = await watch(routers, parts);
    return judge(states, parts.kernelTcpAo);
  } finally {
    await Promise.all(routers.map((router) => router.stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Looks at both until the time is up; the last look is made while both still run. */
async function watch(routers: readonly RunningRouter[], parts: DemoParts): Promise<readonly RouterState[]> {
  const streams = new AbortController();
  const following = routers.map((router) => router.follow(parts.view, streams.signal));
  const end = performance.now() + parts.seconds * 1000;
  let states: readonly RouterState[] = await Promise.all(routers.map((router) => router.look()));
  while (performance.now() < end && !parts.signal.aborted) {
    parts.view.states(states);
    await delay(LOOK_EVERY_MILLISECONDS);
    states = await Promise.all(routers.map((router) => router.look()));
  }
  states = await settled(routers, states);
  parts.view.states(states);
  streams.abort();
  await Promise.all(following);
  return states;
}

/** The end may fall into the middle of a rollover: for a moment one end may be ahead. Looks again until both agree. */
async function settled(
  routers: readonly RunningRouter[],
  first: readonly RouterState[],
): Promise<readonly RouterState[]> {
  let states = first;
  const end = performance.now() + 4000;
  while (performance.now() < end && !equalKeys(states)) {
    await delay(LOOK_EVERY_MILLISECONDS);
    states = await Promise.all(routers.map((router) => router.look()));
  }
  return states;
}

function judge(
  states: readonly RouterState[],
  kernelTcpAo: boolean,
): { ok: boolean; why: string; summary: DemoSummary } {
  const sum = (name: string): number => states.reduce((total, state) => total + (state.statistics[name] ?? 0), 0);
  const summary: DemoSummary = {
    event: "summary",
    rollovers: Math.min(...states.map((state) => state.rollover?.completed ?? 0)),
    segmentsVerified: sum("segmentsVerified"),
    segmentsRejected: sum("segmentsRejected"),
    gaps: sum("gaps"),
    kernelTcpAo,
  };
  const faults = [
    summary.rollovers < 2 && `only ${summary.rollovers} rollovers at both ends (2 are needed)`,
    !equalKeys(states) && "the two ends do not use the same key",
    summary.segmentsVerified === 0 && "no segment was verified",
    summary.segmentsRejected > 0 && `${summary.segmentsRejected} segments were rejected`,
    summary.gaps > 0 && `${summary.gaps} gaps in the stream of segments`,
  ].filter((fault) => fault !== false);
  return { ok: faults.length === 0, why: faults.join("; "), summary };
}

function equalKeys(states: readonly RouterState[]): boolean {
  const [first, ...others] = states.map(currentFingerprint);
  return first !== undefined && others.every((fingerprint) => fingerprint === first);
}

function currentFingerprint(state: RouterState): string | undefined {
  return state.keys.find((key) => key.state === "current")?.fingerprint;
}

/** One daemon of the demo, as a process. */
export class RunningRouter {
  readonly router: DemoRouter;
  readonly #parts: DemoParts;
  readonly #client: ControlClient;
  #child: ChildProcess | undefined;
  #errors = "";
  #last: RouterState;
  #stopping = false;

  constructor(router: DemoRouter, parts: DemoParts) {
    this.router = router;
    this.#parts = parts;
    this.#client = new ControlClient(router.socket);
    this.#last = { name: router.name, keys: [], statistics: {} };
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const child = spawn(process.execPath, [...this.#parts.daemonArguments(this.router)], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = `${this.#errors}${text}`.slice(-4000);
    });
    this.#child = child;
  }

  /** For tests: ends the process at once, and starts it again. */
  async killAndRestart(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    this.start();
  }

  async ready(signal: AbortSignal): Promise<void> {
    const end = performance.now() + START_LIMIT_MILLISECONDS;
    for (;;) {
      try {
        await this.#client.get("/v1/status");
        return;
      } catch (error) {
        const ended = this.#child?.exitCode !== null;
        if (ended || signal.aborted || performance.now() > end)
          throw new Error(`daemon ${this.router.name} did not start: ${this.#errors || String(error)}`);
      }
      await delay(50);
    }
  }

  /** A daemon that is being restarted answers nothing: then the last look counts. */
  async look(): Promise<RouterState> {
    try {
      const [keys, rollovers, statistics] = await Promise.all([
        this.#client.get("/v1/keys"),
        this.#client.get("/v1/rollovers"),
        this.#client.get("/v1/statistics"),
      ]);
      const rollover = (rollovers as readonly RolloverView[]).find(({ session }) => session === SESSION);
      this.#last = {
        name: this.router.name,
        keys: keys as readonly KeyView[],
        ...(rollover === undefined ? {} : { rollover }),
        statistics: (statistics as Record<string, Record<string, number>>)[SESSION] ?? {},
      };
    } catch {
      // Not there at this moment: `judge` sees the last state, and fails if nothing better comes.
    }
    return this.#last;
  }

  async follow(view: DemoView, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#stopping) {
      try {
        for await (const event of this.#client.events(signal)) view.event(this.router.name, event);
      } catch {
        // The stream ends with the daemon or with the demo.
      }
      if (!signal.aborted) await delay(LOOK_EVERY_MILLISECONDS);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    const forced = setTimeout(() => child.kill("SIGKILL"), 3000);
    await gone;
    clearTimeout(forced);
  }
}
