/** Where the figures come from. */
import { execFileSync } from "node:child_process";
import { mkdir, readFile, statfs } from "node:fs/promises";
import { availableParallelism, cpus, loadavg } from "node:os";
import { join } from "node:path";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  readonly kernel: string;
  readonly date: string;
  /** Over the last minute, before anything was measured. */
  readonly load: number;
  readonly commit: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    node: process.version,
    kernel: `${process.platform} ${process.arch}`,
    date: new Date().toISOString().slice(0, 10),
    load: loadavg()[0] ?? 0,
    commit: commit(),
  };
}

/** On the disk that holds the checkout: a folder for temporary files is often memory, where a sync costs nothing. */
export async function scratchFolder(): Promise<string> {
  const folder = join(import.meta.dirname, ".cache");
  await mkdir(folder, { recursive: true });
  return folder;
}

export async function fileSystemOf(path: string): Promise<string> {
  const { type } = await statfs(path);
  return fileSystems.get(type) ?? `file system 0x${type.toString(16)}`;
}

const fileSystems: ReadonlyMap<number, string> = new Map([
  [0xef53, "ext4"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x01021994, "tmpfs"],
  [0x794c7630, "overlayfs"],
]);

/** CPU time of a process with all its threads, in milliseconds; undefined where there is no /proc. */
export async function cpuOfProcess(pid: number): Promise<number | undefined> {
  try {
    // proc(5): utime and stime are the 14th and 15th field; the second is in brackets and may hold anything
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10; // USER_HZ is 100
  } catch {
    return undefined;
  }
}

function commit(): string {
  try {
    const head = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
    const changed =
      execFileSync("git", ["status", "--porcelain", "--", "packages"], { encoding: "utf8" }).trim() !== "";
    return changed ? `${head} with changes` : head;
  } catch {
    return "unknown";
  }
}
