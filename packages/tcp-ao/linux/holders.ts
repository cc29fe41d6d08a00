import { readdirSync, readlinkSync } from "node:fs";
import { LinuxTcpAoError } from "./errors.ts";

/** A process, and the number under which it has a socket. */
export interface SocketHolder {
  readonly pid: number;
  readonly fd: number;
}

/**
 * Which processes have these sockets open, by inode: walks /proc/PID/fd. A socket may have several holders after
 * fork. Sockets that no visible process has are absent; those of other users are seen by root only.
 * @throws LinuxTcpAoError `procMissing`
 */
export function findSocketHolders(inodes: ReadonlySet<number>): ReadonlyMap<number, readonly SocketHolder[]> {
  const holders = new Map<number, SocketHolder[]>();
  if (inodes.size === 0) return holders;
  for (const pid of processes()) {
    for (const fd of numbersIn(`/proc/${pid}/fd`) ?? []) {
      const inode = socketInode(`/proc/${pid}/fd/${fd}`);
      if (inode === undefined || !inodes.has(inode)) continue;
      const known = holders.get(inode);
      if (known === undefined) holders.set(inode, [{ pid, fd }]);
      else known.push({ pid, fd });
    }
  }
  return holders;
}

function processes(): readonly number[] {
  const pids = numbersIn("/proc");
  if (pids !== undefined) return pids;
  const advice = "/proc cannot be read; mount it, and see that hidepid does not hide the daemon from this process";
  throw new LinuxTcpAoError("find holders", { code: "procMissing", advice });
}

/** Entries that are numbers; undefined when the folder is gone or not ours to read. */
function numbersIn(folder: string): readonly number[] | undefined {
  try {
    return readdirSync(folder)
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return undefined;
  }
}

function socketInode(path: string): number | undefined {
  try {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(path))?.[1];
    return inode === undefined ? undefined : Number(inode);
  } catch {
    // Closed since the folder was read
    return undefined;
  }
}
