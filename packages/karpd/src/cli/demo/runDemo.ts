import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { KernelWatch } from "./kernel.ts";
import { layOut } from "./layOut.ts";
import {
  LOOK_EVERY_MILLISECONDS,
  type RouterState,
  RunningRouter,
  type RunningRouterOptions,
} from "./runningRouter.ts";
import type { DemoView } from "./views.ts";

export interface DemoParts extends RunningRouterOptions {
  readonly seconds: number;
  readonly view: DemoView;
  /** True where this kernel has TCP-AO: then a real TCP session is expected as well. */
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
  /** True only if a real TCP session carried KEEPALIVEs to both ends throughout. */
  readonly kernelTcpAo: boolean;
}

const SETTLE_LIMIT_MILLISECONDS = 4000;

interface Watched {
  readonly states: readonly RouterState[];
  /** Both ends have verified segments up to the end. */
  readonly isHeardToTheEnd: boolean;
}

/**
 * Two daemons, each a process with its own configuration, store and sockets, key one session and roll it. This process
 * only watches through their control sockets: it never holds a key.
 * Succeeds with two rollovers at both ends, equal keys, no reject and no gap; and with the kernel's TCP session
 * up throughout, where the kernel can.
 */
export async function runDemo(
  parts: DemoParts,
): Promise<{ readonly ok: boolean; readonly why: string; readonly summary: DemoSummary }> {
  const folder = await mkdtemp(join(tmpdir(), "karp-demo-"));
  const routers = (await layOut(folder)).map((router) => new RunningRouter(router, parts));
  try {
    for (const router of routers) router.start();
    const areReady = await Promise.all(routers.map((router) => router.ready(parts.signal)));
    if (areReady.includes(false)) return judge({ states: [], isHeardToTheEnd: true }, new KernelWatch(), parts);
    parts.onStarted?.(routers);
    parts.view.started(
      routers.map(({ router }) => router),
      parts.kernelTcpAo,
    );
    const kernel = new KernelWatch();
    return judge(await watch(routers, kernel, parts), kernel, parts);
  } finally {
    await Promise.all(routers.map((router) => router.stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Looks at both until the time is up; the last look is made while both still run. */
async function watch(routers: readonly RunningRouter[], kernel: KernelWatch, parts: DemoParts): Promise<Watched> {
  const streams = new AbortController();
  const following = routers.map((router) => router.follow(parts.view, streams.signal));
  const end = performance.now() + parts.seconds * 1000;
  let states: readonly RouterState[] = await Promise.all(routers.map((router) => router.look()));
  while (performance.now() < end && !parts.signal.aborted) {
    parts.view.states(states);
    kernel.look(states);
    await delay(LOOK_EVERY_MILLISECONDS);
    states = await Promise.all(routers.map((router) => router.look()));
  }
  const watched = await settled(routers, states);
  parts.view.states(watched.states);
  streams.abort();
  await Promise.all(following);
  return watched;
}

/**
 * The end may fall into the middle of a rollover: for a moment one end may be ahead. Looks again until both agree, and
 * until both have heard each other once more.
 */
async function settled(routers: readonly RunningRouter[], first: readonly RouterState[]): Promise<Watched> {
  let states = first;
  const end = performance.now() + SETTLE_LIMIT_MILLISECONDS;
  while (performance.now() < end && !(equalKeys(states) && haveHeard(states, first))) {
    await delay(LOOK_EVERY_MILLISECONDS);
    states = await Promise.all(routers.map((router) => router.look()));
  }
  return { states, isHeardToTheEnd: haveHeard(states, first) };
}

function haveHeard(states: readonly RouterState[], since: readonly RouterState[]): boolean {
  return states.every((state, index) => counted(state, "segmentsVerified") > counted(since[index], "segmentsVerified"));
}

function counted(state: RouterState | undefined, name: string): number {
  return state?.statistics[name] ?? 0;
}

function judge(
  { states, isHeardToTheEnd }: Watched,
  kernel: KernelWatch,
  { kernelTcpAo, signal }: DemoParts,
): { ok: boolean; why: string; summary: DemoSummary } {
  const sum = (name: string): number => states.reduce((total, state) => total + counted(state, name), 0);
  const summary: DemoSummary = {
    event: "summary",
    rollovers: states.length === 0 ? 0 : Math.min(...states.map(({ rollovers }) => rollovers)),
    segmentsVerified: sum("segmentsVerified"),
    segmentsRejected: sum("segmentsRejected"),
    gaps: sum("gaps"),
    kernelTcpAo: kernelTcpAo && kernel.ranThroughout,
  };
  const faults = [
    ...states.map(({ name, lastWords }) => lastWords !== undefined && `daemon ${name} has ended: ${lastWords}`),
    summary.rollovers < 2 && `only ${countOf(summary.rollovers, "rollover")} at both ends (2 are needed)`,
    !equalKeys(states) && "the two ends do not use the same key",
    states.some((state) => counted(state, "segmentsVerified") === 0) && "one end verified no segment",
    summary.segmentsRejected > 0 && `${countOf(summary.segmentsRejected, "segment")} rejected`,
    summary.gaps > 0 && `${countOf(summary.gaps, "gap")} in the stream of segments`,
    ...unexplainedHandshakes(states),
    !isHeardToTheEnd && "one end heard nothing from the other in the end",
    kernelTcpAo && !kernel.ranThroughout && "the kernel's TCP session was not up throughout",
  ].filter((fault) => fault !== false);
  const early = signal.aborted ? "ended early: " : "";
  return { ok: faults.length === 0, why: `${early}${faults.join("; ")}`, summary };
}

/** Two processes that live shake hands once: each time more takes another start of a daemon. */
function unexplainedHandshakes(states: readonly RouterState[]): readonly string[] {
  const most = states.reduce((total, { starts }) => total + starts, -1);
  return states
    .filter((state) => counted(state, "handshakes") > most)
    .map((state) => `${state.name} opened its connection again although both daemons were there`);
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function equalKeys(states: readonly RouterState[]): boolean {
  const [first, ...others] = states.map(currentFingerprint);
  return first !== undefined && others.every((fingerprint) => fingerprint === first);
}

function currentFingerprint(state: RouterState): string | undefined {
  return state.keys.find((key) => key.state === "current")?.fingerprint;
}
