import { ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { DriverClock } from "../context.ts";
import { errnoOf, messageOf } from "../text.ts";

export interface ProgramRun {
  readonly program: string;
  readonly parameters: readonly string[];
  readonly input: string;
  readonly timeoutMilliseconds: number;
}

export type ProgramEnd =
  | { readonly kind: "ended"; readonly status: number | string; readonly output: string; readonly complaint: string }
  | { readonly kind: "timedOut"; readonly complaint: string }
  /** `errno`: of the system call that failed, "ENOENT" or "EMFILE". */
  | { readonly kind: "notStarted"; readonly errno: string | undefined; readonly reason: string };

/** The whole environment of the program: nothing of the daemon's own gets out. */
const ENVIRONMENT = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" };
const MAXIMUM_OUTPUT_CHARACTERS = 64 * 1024;
const MAXIMUM_COMPLAINT_CHARACTERS = 4 * 1024;

/** Runs a program without a shell; the input goes to its standard input and nowhere else. Never rejects. */
export function runProgram(run: ProgramRun, clock: DriverClock): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    const child = started(run);
    if (!(child instanceof ChildProcess)) {
      resolve(notStarted(child));
      return;
    }
    // First of all: when there are no descriptors left, this event comes and there are no pipes
    child.on("error", (error) => end(notStarted(error)));
    const { stdin, stdout, stderr } = child;
    const output = collectWhole(stdout, MAXIMUM_OUTPUT_CHARACTERS);
    const complaint = collectEnd(stderr, MAXIMUM_COMPLAINT_CHARACTERS);
    const timer = clock.after(run.timeoutMilliseconds, () => {
      killGroup(child.pid);
      for (const stream of [stdin, stdout, stderr]) stream?.destroy(); // whoever has left the group may hold them open
      resolve({ kind: "timedOut", complaint: complaint() });
    });
    const end = (how: ProgramEnd): void => {
      timer.cancel();
      resolve(how);
    };
    child.on("close", (code, signal) =>
      end({ kind: "ended", status: code ?? signal ?? "unknown", output: output(), complaint: complaint() }),
    );
    stdin?.on("error", () => undefined); // a program need not read: its answer decides
    stdin?.end(run.input);
  });
}

/** Some failures are thrown, others are an event. */
function started({ program, parameters }: ProgramRun): ChildProcess | Error {
  try {
    return spawn(program, parameters, { cwd: "/", env: ENVIRONMENT, detached: true, stdio: "pipe" });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function notStarted(error: Error): ProgramEnd {
  return { kind: "notStarted", errno: errnoOf(error), reason: messageOf(error) };
}

/** All of it, or nothing when it is more than `maximum` characters: the beginning of an answer is no answer. */
function collectWhole(stream: Readable | null, maximum: number): () => string {
  let text = "";
  stream?.setEncoding("utf8").on("data", (part: string) => {
    if (text.length <= maximum) text += part;
  });
  return () => (text.length <= maximum ? text : "");
}

/** The last lines, as many as fit whole: half of a line could be half of a key, which nobody would recognize. */
function collectEnd(stream: Readable | null, maximum: number): () => string {
  let text = "";
  let isCut = false;
  stream?.setEncoding("utf8").on("data", (part: string) => {
    text += part;
    isCut ||= text.length > maximum;
    text = text.slice(-maximum);
  });
  return () => (isCut ? text.slice(text.indexOf("\n") + 1 || text.length) : text);
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
