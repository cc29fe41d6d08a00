import { readdirSync, readFileSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { removeStoredDescriptor, storeDescriptor } from "./fdStore.ts";
import type { WrapArchitecture } from "./filter.ts";
import { launch } from "./launch.ts";
import { Notifications } from "./notifications.ts";
import type { SessionTable } from "./sessions.ts";
import { Supervisor, type WrapKeyer } from "./supervisor.ts";
import {
  becomeSubreaper,
  type ChildEnd,
  exitNow,
  RLIMIT_CORE,
  RLIMIT_NOFILE,
  reapChild,
  resourceLimit,
  setResourceLimit,
} from "./system.ts";

export interface WrapOptions {
  readonly command: readonly string[];
  /** As the configuration is now. */
  readonly sessions: () => SessionTable;
  /** Makes the keyer's client; the arguments hear of new keys and of a keyer that is there again. */
  readonly openKeyer: (hear: {
    readonly keysChanged: (session: string) => void;
    readonly returned: () => void;
  }) => WrapKeyer;
  /** Longest wait for a key, of a connect() in non-blocking mode. */
  readonly holdMilliseconds: number;
  /** Soft limit of open files for the daemon: Node.js raises its own to the hard limit, and the daemon inherits it. */
  readonly openFiles?: number;
}

const FORWARDED = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT"] as const;
const REAP_MILLISECONDS = 1000;

/**
 * Runs a program with its outgoing TCP connections keyed, and ends as it ends: with its exit code, or by its signal.
 * A program that goes to the background is supervised for as long as any process of it lives.
 * Rejects with LaunchError when it cannot be started; else it does not return.
 */
export async function wrap(options: WrapOptions): Promise<never> {
  becomeSubreaper();
  const ended = Promise.withResolvers<ChildEnd>();
  let pid: number | undefined;
  const reap = (): void => {
    // A child whose exec fails is waited for by who started it, until the launch is over
    if (pid === undefined) return;
    for (let end = reapChild(); end !== undefined; end = reapChild()) if (end.pid === pid) ended.resolve(end);
  };
  process.on("SIGCHLD", reap);
  // Signals alone do not keep a process of Node.js alive
  const reaper = setInterval(reap, REAP_MILLISECONDS);
  for (const signal of FORWARDED) process.on(signal, forward);
  if (options.openFiles !== undefined) limitOpenFiles(options.openFiles);
  const architecture = ourArchitecture();
  const launched = await launch(architecture, options.command, { ...process.env }).catch((error: unknown) => {
    clearInterval(reaper);
    for (const signal of FORWARDED) process.off(signal, forward);
    process.off("SIGCHLD", reap);
    throw error;
  });
  pid = launched.pid;
  reap();
  const trouble = storeDescriptor(launched.listener, process.env);
  if (trouble !== undefined) say(trouble);
  const served = serve(new Notifications(launched.listener, architecture), options);
  const end = await ended.promise;
  // Success of a program whose processes go on: it has gone to the background
  if (end.code === 0) await served;
  return endLike(end);
}

async function serve(notifications: Notifications, options: WrapOptions): Promise<void> {
  const supervisor: Supervisor = new Supervisor({
    notifications,
    keyer: options.openKeyer({
      keysChanged: (session) => supervisor.keysChanged(session),
      returned: () => supervisor.keyerReturned(),
    }),
    sessions: options.sessions,
    say,
    holdMilliseconds: options.holdMilliseconds,
  });
  try {
    await supervisor.run();
  } catch (error) {
    // Without us every connect() of the daemon would stand still; without the descriptor they fail, and it is seen
    say(`connections can no longer be supervised, the daemon cannot connect any more: ${String(error)}`);
    const trouble = removeStoredDescriptor(process.env);
    if (trouble !== undefined) say(trouble);
    notifications.close();
  }
}

/** Its supported architectures are those of koffi's prebuilt binaries and of the filter. */
function ourArchitecture(): WrapArchitecture {
  if (process.platform === "linux" && (process.arch === "x64" || process.arch === "arm64")) return process.arch;
  throw new Error(`karp wrap runs on 64-bit Linux (x64, arm64), not on ${process.platform} ${process.arch}`);
}

/** To the daemon; to all its processes that are our children, once it is in the background. */
function forward(signal: NodeJS.Signals): void {
  for (const child of children()) {
    try {
      process.kill(child, signal);
    } catch {
      // It has ended since
    }
  }
}

/** Not every kernel has /proc/PID/task/TID/children. */
function children(): readonly number[] {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return processes.filter((name) => parentOf(name) === process.pid).map(Number);
}

function parentOf(process: string): number | undefined {
  try {
    const status = readFileSync(`/proc/${process}/status`, "utf8");
    return Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1]);
  } catch {
    return undefined;
  }
}

function limitOpenFiles(soft: number): void {
  const { hard } = resourceLimit(RLIMIT_NOFILE);
  const wanted = BigInt(soft);
  setResourceLimit(RLIMIT_NOFILE, { soft: wanted < hard ? wanted : hard, hard });
}

function endLike({ code, signal }: ChildEnd): never {
  if (signal === undefined) return exitNow(code ?? 1);
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0];
  if (name !== undefined) {
    // The dump is the daemon's, not ours
    setResourceLimit(RLIMIT_CORE, { soft: 0n, hard: 0n });
    process.removeAllListeners(name);
    process.kill(process.pid, name as NodeJS.Signals);
  }
  return exitNow(128 + signal);
}

/**
 * One line for the operator. Straight to the descriptor: a stream of Node.js would put what we share with the daemon into
 * non-blocking mode.
 */
export function say(text: string): void {
  try {
    writeSync(2, `karp wrap: ${text}\n`);
  } catch {
    // Nobody reads it
  }
}
