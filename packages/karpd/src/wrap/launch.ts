import { Worker } from "node:worker_threads";
import { connectFilter, type WrapArchitecture } from "./filter.ts";

/** What the starting thread is told. */
export interface LaunchOrder {
  readonly architecture: WrapArchitecture;
  readonly program: Uint8Array;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What it says. */
export type LaunchReport =
  | { readonly kind: "filtered"; readonly listener: number }
  | { readonly kind: "started"; readonly pid: number }
  | { readonly kind: "failed"; readonly what: string; readonly code: string };

/** A daemon that runs with the filter. */
export interface Launched {
  readonly pid: number;
  /** Where its notifications arrive. */
  readonly listener: number;
}

/** The daemon, or its filter, could not be started. */
export class LaunchError extends Error {
  override readonly name = "LaunchError";
  /** 127: there is no such program; 126: it does not run; as a shell has it. */
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * Starts the program with the filter on it, with our standard streams, environment and user.
 * Resolves when the starting thread is gone and only the program has the filter; rejects with LaunchError.
 */
export async function launch(
  architecture: WrapArchitecture,
  command: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Launched> {
  const workerData: LaunchOrder = { architecture, program: connectFilter(architecture), command, environment };
  const worker = new Worker(launcherEntry(), { workerData, env: {}, execArgv: [], name: "launcher" });
  let listener: number | undefined;
  let pid: number | undefined;
  let failure: LaunchError | undefined;
  worker.on("message", (report: LaunchReport) => {
    if (report.kind === "filtered") listener = report.listener;
    else if (report.kind === "started") pid = report.pid;
    else failure = explain(report);
  });
  await new Promise<void>((resolve, reject) => {
    worker.once("error", reject);
    worker.once("exit", () => resolve());
  });
  if (failure !== undefined) throw failure;
  if (listener === undefined || pid === undefined) throw new LaunchError("the launcher said nothing", 126);
  return { pid, listener };
}

function explain({ what, code }: Extract<LaunchReport, { readonly kind: "failed" }>): LaunchError {
  if (what !== "the connect filter") {
    return new LaunchError(`cannot start ${what}: ${code}`, code === "ENOENT" ? 127 : 126);
  }
  const why =
    code === "EBUSY"
      ? "something above karp wrap holds a seccomp listener already (another karp wrap, or a container manager that answers system calls itself)"
      : `the kernel refuses the seccomp filter (${code}); it needs Linux 5.5 or later with CONFIG_SECCOMP_FILTER`;
  return new LaunchError(why, 126);
}

/** From sources the thread is a TypeScript file next to this one; in the bundle it stands next to the bundle. */
function launcherEntry(): URL {
  const isSource = import.meta.url.endsWith(".ts");
  return new URL(isSource ? "./launchThread.ts" : "./wrap-launcher.js", import.meta.url);
}
