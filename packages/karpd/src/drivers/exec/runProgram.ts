import { spawn } from "node:child_process";
import type { DriverClock } from "../context.ts";
import { messageOf } from "../text.ts";

export interface ProgramRun {
  readonly program: string;
  readonly parameters: readonly string[];
  readonly input: string;
  readonly timeoutMilliseconds: number;
}

export type ProgramEnd =
  | { readonly kind: "ended"; readonly status: number | string; readonly output: string; readonly complaint: string }
  | { readonly kind: "timedOut"; readonly complaint: string }
  | { readonly kind: "notStarted"; readonly reason: string };

/** The whole environment of the program: nothing of the daemon's own gets out. */
const ENVIRONMENT = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" };
const MAXIMUM_OUTPUT_CHARACTERS = 64 * 1024;
const MAXIMUM_COMPLAINT_CHARACTERS = 4 * 1024;

/** Runs a program without a shell; the input goes to its standard input and nowhere else. Never rejects. */
export function runProgram(run: ProgramRun, clock: DriverClock): Promise<ProgramEnd> {
  const child = spawn(run.program, run.parameters, { cwd: "/", env: ENVIRONMENT, detached: true, stdio: "pipe" });
  const output = collect(child.stdout, MAXIMUM_OUTPUT_CHARACTERS);
  const complaint = collect(child.stderr, MAXIMUM_COMPLAINT_CHARACTERS);
  child.stdin.on("error", () => undefined); // a program need not read: its answer decides
  child.stdin.end(run.input);
  return new Promise((resolve) => {
    const timer = clock.after(run.timeoutMilliseconds, () => {
      killGroup(child.pid);
      resolve({ kind: "timedOut", complaint: complaint() });
    });
    const end = (how: ProgramEnd): void => {
      timer.cancel();
      resolve(how);
    };
    child.on("error", (error) => end({ kind: "notStarted", reason: messageOf(error) }));
    child.on("close", (code, signal) =>
      end({ kind: "ended", status: code ?? signal ?? "unknown", output: output(), complaint: complaint() }),
    );
  });
}

function collect(stream: NodeJS.ReadableStream, maximum: number): () => string {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("data", (part: string) => {
    if (text.length <= maximum) text += part;
  });
  return () => text.slice(0, maximum + 1);
}

/** The program leads a process group of its own: its children end with it. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // gone already
  }
}
