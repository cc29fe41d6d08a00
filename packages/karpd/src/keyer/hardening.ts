// A process that holds keys and has the library for it: nobody reads its memory, and nothing writes it to disk.
import { createRequire } from "node:module";
import { hardenRuntime } from "../runtime/hardening.ts";

const PR_SET_DUMPABLE = 4;
const RLIMIT_CORE = 4;

/**
 * Beside what `hardenRuntime` does: no core dump at all (PR_SET_DUMPABLE 0, which also keeps other processes of the same
 * user from tracing it; RLIMIT_CORE 0).
 * @returns what could not be had
 */
export function hardenProcess(log: (text: string) => void): readonly string[] {
  // The filter first: files below /proc/self belong to root once the process is not dumpable
  return [...hardenRuntime(log), ...withoutDumps()];
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
