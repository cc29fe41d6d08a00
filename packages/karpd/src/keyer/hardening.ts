// A process that holds keys: nobody reads its memory, and nothing writes it to disk.
import { createRequire } from "node:module";

const PR_SET_DUMPABLE = 4;
const RLIMIT_CORE = 4;

/**
 * No core dump (PR_SET_DUMPABLE 0, which also keeps other processes of the same user from tracing it; RLIMIT_CORE 0), no
 * debugger on SIGUSR1, no diagnostic report, no heap snapshot on a signal or near the limit.
 * @returns what could not be had
 */
export function hardenProcess(log: (text: string) => void): readonly string[] {
  // Node opens its debugger on this signal unless somebody else wants it
  process.on("SIGUSR1", () => log("SIGUSR1 opens no debugger here"));
  if (process.report !== undefined) {
    process.report.reportOnSignal = false;
    process.report.reportOnFatalError = false;
    process.report.reportOnUncaughtException = false;
  }
  return [...dangerousOptions(), ...withoutDumps()];
}

/** Options by which Node would show its memory; they cannot be taken back, so the process must not begin with them. */
export function dangerousOptions(
  options: readonly string[] = [...process.execArgv, ...(process.env["NODE_OPTIONS"] ?? "").split(/\s+/)],
): readonly string[] {
  const found = options.filter((option) =>
    /^--(inspect|debug|heapsnapshot|heap-prof|cpu-prof|report-|diagnostic-report|abort-on-uncaught|prof\b|trace-event|perf-)/.test(
      option,
    ),
  );
  return found.map((option) => `node was started with ${option.replace(/=.*/s, "")}`);
}

function withoutDumps(): readonly string[] {
  try {
    const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi");
    const libc = koffi.load("libc.so.6");
    const prctl = libc.func(
      "int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)",
    );
    const setrlimit = libc.func("int setrlimit(int resource, const void *limit)");
    const failed: string[] = [];
    if (setrlimit(RLIMIT_CORE, new BigUint64Array([0n, 0n])) !== 0) failed.push("RLIMIT_CORE could not be set to 0");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) !== 0) failed.push("PR_SET_DUMPABLE could not be set to 0");
    return failed;
  } catch (error) {
    return [`core dumps could not be forbidden: ${error instanceof Error ? error.message : String(error)}`];
  }
}
