// The TCP sockets that a process has open, by /proc alone: to ask `ss` costs a user-mode kernel far more.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface ProcessSocket {
  readonly fd: number;
  readonly state: "listen" | "established" | "other";
  /** As people write it; of an IPv4-mapped one the IPv4 address. */
  readonly remoteAddress: string;
  readonly localPort: number;
  readonly remotePort: number;
}

/** Empty when the process has ended. */
export function socketsOf(pid: number): ProcessSocket[] {
  const fds = new Map<string, number>();
  for (const fd of list(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(target(`/proc/${pid}/fd/${fd}`))?.[1];
    if (inode !== undefined) fds.set(inode, Number(fd));
  }
  return ["tcp", "tcp6"]
    .flatMap((name) => read(`/proc/${pid}/net/${name}`).split("\n").slice(1))
    .flatMap((line) => {
      const [, local = "", remote = "", state = "", , , , , , inode = ""] = line.trim().split(/\s+/);
      const fd = fds.get(inode);
      return fd === undefined ? [] : [{ fd, ...placeOf(local, remote), state: STATES[state] ?? "other" }];
    });
}

const STATES: Readonly<Record<string, ProcessSocket["state"]>> = { "01": "established", "0A": "listen" };

function placeOf(local: string, remote: string): Pick<ProcessSocket, "remoteAddress" | "localPort" | "remotePort"> {
  const port = (place: string): number => Number.parseInt(place.split(":")[1] ?? "", 16);
  return { remoteAddress: addressOf(remote.split(":")[0] ?? ""), localPort: port(local), remotePort: port(remote) };
}

/** Words of 32 bits as this machine has them in memory: the octets of each come backwards. */
function addressOf(hex: string): string {
  const octets = Buffer.concat((hex.match(/.{8}/g) ?? []).map((word) => Buffer.from(word, "hex").reverse()));
  const isMapped = octets.length === 16 && octets.readBigUInt64BE(0) === 0n && octets.readUInt32BE(8) === 0xffff;
  if (octets.length === 4 || isMapped) return octets.subarray(-4).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => octets.readUInt16BE(2 * i).toString(16));
  // The shortest form, by the parser that everybody has
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}

function list(path: string): string[] {
  return attempt(() => readdirSync(path), []);
}

function target(path: string): string {
  return attempt(() => readlinkSync(path), "");
}

function read(path: string): string {
  return attempt(() => readFileSync(path, "utf8"), "");
}

/** The process, or the descriptor, is gone meanwhile. */
function attempt<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}
