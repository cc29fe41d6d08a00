/**
 * The thread that starts the daemon. A seccomp filter belongs to a thread and to what it starts: this one installs the
 * filter on itself, starts the daemon and ends, so that the daemon has the filter and the supervisor has not.
 * Bundled, this file stands next to the main one as wrap-launcher.js.
 */
import { spawn } from "node:child_process";
import { parentPort, workerData } from "node:worker_threads";
import type { LaunchOrder, LaunchReport } from "./launch.ts";
import { installSeccompFilter, SystemCallError, setNoNewPrivileges } from "./system.ts";

const order = workerData as LaunchOrder;

try {
  tell({ kind: "filtered", listener: installFilter() });
  start();
} catch (error) {
  tell({ kind: "failed", what: "the connect filter", code: codeOf(error) });
}

/** Only who may administer the machine can filter without no_new_privs, which would change what the daemon can do. */
function installFilter(): number {
  const { architecture, program } = order;
  try {
    return installSeccompFilter(architecture, program);
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.code !== "EACCES") throw error;
    setNoNewPrivileges();
    return installSeccompFilter(architecture, program);
  }
}

function start(): void {
  const [program = "", ...args] = order.command;
  const child = spawn(program, args, { stdio: "inherit", env: order.environment });
  child.on("error", (error) => {
    tell({ kind: "failed", what: program, code: codeOf(error) });
    process.exit();
  });
  if (child.pid === undefined) return;
  tell({ kind: "started", pid: child.pid });
  // At once: this thread's event loop would wait for the child, which is the main thread's business
  process.exit();
}

function tell(report: LaunchReport): void {
  parentPort?.postMessage(report);
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
