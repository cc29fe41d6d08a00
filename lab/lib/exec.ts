// Running programs inside the guest.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { runSmall } from "./spawner.ts";
import { waitFor } from "./wait.ts";

export interface ExecOptions {
  /** Network namespace to run in. */
  readonly namespace?: string;
  readonly cwd?: string;
  readonly input?: string;
  readonly timeoutSeconds?: number;
  /** Sees stdout as it comes. */
  readonly onStdout?: (text: string) => void;
}

export interface ExecResult {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; a failing program is a result, not an error. */
export async function exec(command: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const whole = inNamespace(command, options.namespace);
  if (options.onStdout !== undefined) return await execWatched(whole, options);
  const { cwd = process.cwd(), input = "", timeoutSeconds: seconds = DEFAULT_SECONDS } = options;
  const { code, ...said } = await runSmall({ command: whole, cwd, input, seconds }).catch((cause: unknown) => {
    throw new Error(`cannot start ${command.join(" ")}`, { cause });
  });
  return { code: code ?? undefined, ...said };
}

const DEFAULT_SECONDS = 60;

function execWatched([program, ...args]: [string, ...string[]], options: ExecOptions): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: (options.timeoutSeconds ?? DEFAULT_SECONDS) * 1000,
      killSignal: "SIGKILL",
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      options.onStdout?.(text);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", (cause) => reject(new Error(`cannot start ${program}`, { cause })));
    child.on("close", (code) => resolve({ code: code ?? undefined, stdout, stderr }));
  });
}

/** Runs a program that has to succeed. @returns its stdout. @throws Error with its output. */
export async function must(command: readonly string[], options: ExecOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await exec(command, options);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code ?? "a signal"}:\n${stderr || stdout}`);
  return stdout;
}

function inNamespace(command: readonly string[], namespace: string | undefined): [string, ...string[]] {
  const whole = namespace === undefined ? command : ["ip", "netns", "exec", namespace, ...command];
  const [program, ...args] = whole;
  if (program === undefined) throw new Error("an empty command");
  return [program, ...args];
}

/** A program that stays: its pid, its log, and its end. */
export class Daemon {
  readonly name: string;
  readonly log: string;
  readonly #child: ChildProcess;

  /** Starts `command`; stdout and stderr are appended to the file `log`. */
  constructor(name: string, command: readonly string[], log: string, options: ExecOptions = {}) {
    this.name = name;
    this.log = log;
    const [program, ...args] = inNamespace(command, options.namespace);
    const file = openSync(log, "a");
    this.#child = spawn(program, args, { cwd: options.cwd, stdio: ["ignore", file, file] });
    this.#child.on("error", () => {}); // seen as a daemon that is not running
    closeSync(file);
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.name} could not be started`);
    return this.#child.pid;
  }

  isRunning(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  exitCode(): number | null {
    return this.#child.exitCode;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends a signal and waits until the process is gone. */
  async end(signal: NodeJS.Signals, seconds = 10): Promise<void> {
    if (!this.isRunning()) return;
    this.#child.kill(signal);
    await waitFor(`the end of ${this.name}`, () => !this.isRunning(), { seconds });
  }

  /** The last lines of the log, for error messages. */
  logTail(lines = 10): string {
    return readFileSync(this.log, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  }
}
