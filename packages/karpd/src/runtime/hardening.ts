// A process that holds keys: what Node.js itself and the kernel's files let it do so that nothing shows its memory.
import { readFileSync, writeFileSync } from "node:fs";
import { url as debuggerUrl } from "node:inspector";

/**
 * No debugger on SIGUSR1, no diagnostic report, no heap snapshot on a signal or near the limit, and core dumps without
 * the memory in which keys are (anonymous mappings, core(5)); programs that we start inherit that last one.
 * @returns what could not be had
 */
export function hardenRuntime(log: (text: string) => void): readonly string[] {
  // Node opens its debugger on this signal unless somebody else wants it; bin/karp.js wants it before this is loaded
  process.on("SIGUSR1", () => log("SIGUSR1 opens no debugger here"));
  if (process.report !== undefined) {
    process.report.reportOnSignal = false;
    process.report.reportOnFatalError = false;
    process.report.reportOnUncaughtException = false;
  }
  return [...dangerousOptions(), ...openDebugger(), ...fullCores()];
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

function openDebugger(): readonly string[] {
  return debuggerUrl() === undefined ? [] : ["a debugger listens already"];
}

const CORE_FILTER = "/proc/self/coredump_filter";

/** Unlike RLIMIT_CORE this also holds where core dumps go to a program (a core_pattern with a pipe), and needs no FFI. */
function fullCores(): readonly string[] {
  if (process.platform !== "linux") return [];
  try {
    writeFileSync(CORE_FILTER, "0");
    return Number.parseInt(readFileSync(CORE_FILTER, "utf8"), 16) === 0 ? [] : [`${CORE_FILTER} does not stay 0`];
  } catch (error) {
    // A kernel without core dumps has no such file
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    return [`core dumps could not be kept free of keys: ${error instanceof Error ? error.message : String(error)}`];
  }
}
