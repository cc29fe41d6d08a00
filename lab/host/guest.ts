// What user-mode Linux and qemu have in common: the control folder, the process, its output and its end.
import { type ChildProcess, spawn } from "node:child_process";
import {
  copyFileSync,
  createWriteStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface Job {
  readonly scenario: string;
  readonly repo: string;
  /** bin/karp.js of the karp to run. */
  readonly program: string;
  /** guest/main.ts as one program, with the scenarios beside it. */
  readonly driver: string;
  /** Existing folder for everything that the run leaves. */
  readonly out: string;
  readonly timeoutSeconds: number;
  /** Default 1024. */
  readonly memoryMegabytes?: number;
  /** Receives the guest's output while it runs. */
  readonly onOutput: (text: string) => void;
}

export interface GuestEnd {
  /** Exit code of the scenario; absent when the guest ended without giving one. */
  readonly exitCode: number | undefined;
  readonly timedOut: boolean;
  /** The kernel's last words. */
  readonly consoleTail: string;
}

/** How one kind of machine is started. */
export interface Machine {
  readonly transport: "hostfs" | "9p";
  /** A device (pattern) in the guest that leads to the machine's stdout. */
  readonly outputDevice: string;
  /** How much slower than user-mode Linux to expect it. */
  readonly slowness: number;
  command(folders: Folders): readonly [string, ...string[]];
}

export interface Folders {
  readonly control: string;
  readonly repo: string;
  readonly out: string;
  /** Folder with this very Node's executable. */
  readonly node: string;
  readonly console: string;
  readonly memoryMegabytes: number;
}

const GUEST_FILES = join(import.meta.dirname, "../guest");
const running = new Set<ChildProcess>();
const controlFolders = new Set<string>();

/** Ends all guests that this process started, and leaves nothing of them but their output folders. */
export function endAllGuests(): void {
  for (const child of running) endGroup(child);
  for (const folder of controlFolders) rmSync(folder, { recursive: true, force: true });
}

/** Boots a machine, runs the scenario in it and waits for its end. */
export async function runGuest(machine: Machine, job: Job): Promise<GuestEnd> {
  const control = mkdtempSync(join(realpathSync(tmpdir()), "karp-lab-"));
  controlFolders.add(control);
  try {
    const folders = { control, repo: job.repo, out: job.out, node: dirname(realpathSync(process.execPath)) };
    prepare(machine, job, folders);
    const console = join(job.out, "console.log");
    const { memoryMegabytes = 1024 } = job;
    const timedOut = await boot(
      machine.command({ ...folders, console, memoryMegabytes }),
      job,
      machine.slowness,
      console,
    );
    return { exitCode: readExitCode(control), timedOut, consoleTail: tail(console) };
  } finally {
    rmSync(control, { recursive: true, force: true });
    controlFolders.delete(control);
  }
}

function prepare(machine: Machine, job: Job, folders: Omit<Folders, "console" | "memoryMegabytes">): void {
  for (const path of [folders.repo, folders.out, folders.node, folders.control]) {
    if (/[\s,"'\\$]/.test(path))
      throw new Error(`the lab cannot work with the path ${JSON.stringify(path)}: use a plain one`);
  }
  for (const file of ["init.sh", "guest.sh"]) copyFileSync(join(GUEST_FILES, file), join(folders.control, file));
  const settings = {
    LAB_TRANSPORT: machine.transport,
    LAB_REPO: folders.repo,
    LAB_OUT: folders.out,
    LAB_PROGRAM: job.program,
    LAB_DRIVER: job.driver,
    LAB_NODE_DIR: folders.node,
    LAB_SCENARIO: job.scenario,
    LAB_OUTPUT_DEVICE: machine.outputDevice,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`);
  writeFileSync(join(folders.control, "boot.env"), lines.join(""));
}

/** @returns whether the time ran out */
function boot(command: readonly [string, ...string[]], job: Job, slowness: number, console: string): Promise<boolean> {
  const [program, ...args] = command;
  const consoleFile = createWriteStream(console, { flags: "a" }); // qemu appends to it too
  const log = createWriteStream(join(job.out, "guest.log"));
  return new Promise((resolve, reject) => {
    // a group of its own: a guest of user-mode Linux is many processes, and they end together
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    running.add(child);
    let timedOut = false;
    const timer = setTimeout(
      () => {
        timedOut = true;
        endGroup(child);
      },
      job.timeoutSeconds * slowness * 1000,
    );
    child.stderr.pipe(consoleFile);
    child.stdout.setEncoding("utf8").on("data", (raw: string) => {
      const text = raw.replaceAll("\r", "");
      log.write(text);
      job.onOutput(text);
    });
    child.on("error", (cause) => reject(new Error(`cannot start ${program}`, { cause })));
    child.on("close", () => {
      clearTimeout(timer);
      endGroup(child);
      running.delete(child);
      log.end();
      consoleFile.end(() => resolve(timedOut));
    });
  });
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // the group is gone already
  }
}

function readExitCode(control: string): number | undefined {
  const file = join(control, "exit-code");
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, "utf8").trim();
  return text === "" ? undefined : Number(text);
}

function tail(file: string): string {
  return readFileSync(file, "utf8").replaceAll("\r", "").trimEnd().split("\n").slice(-25).join("\n");
}
