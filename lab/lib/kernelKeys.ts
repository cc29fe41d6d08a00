// The keys of another process's TCP connection as the kernel has them, with their counters: TCP_AO_GET_KEYS
// (include/uapi/linux/tcp.h) on a duplicate of its socket (pidfd_getfd). For assertions only; karp has its own reader.
import koffi from "koffi";
import { type ProcessSocket, socketsOf } from "./processSockets.ts";

export interface KernelKey {
  readonly sendId: number;
  readonly recvId: number;
  readonly algorithm: string;
  readonly macLength: number;
  /** The master key: these are keys of made-up routers, for the verifier. */
  readonly keyHex: string;
  /** Whether the MAC covers the TCP options. */
  readonly tcpOptions: boolean;
  readonly isCurrent: boolean;
  readonly isRnext: boolean;
  /** Segments accepted and refused with this key on this connection. */
  readonly good: number;
  readonly bad: number;
}

const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
const SOL_TCP = 6;
const TCP_AO_GET_KEYS = 41;
const TCP_INFO = 11;
const TCP_INFO_BYTES = 104;
const TCP_ESTABLISHED = 1;
const SOL_SOCKET = 1;
const SO_COOKIE = 57;
/** sizeof(struct tcp_ao_getsockopt) and the offsets in it. */
const SIZE = 304;
const AT = {
  algorithm: 128,
  key: 192,
  count: 272,
  flags: 276,
  sendId: 278,
  recvId: 279,
  macLength: 281,
  keyFlags: 282,
  keyLength: 283,
  good: 288,
  bad: 296,
};
/** TCP_AO_KEYF_EXCLUDE_OPT */
const EXCLUDE_OPTIONS = 2;
const MAX_KEYS = 64;
const MAX_LISTENER_KEYS = 2048;

const libc = koffi.load("libc.so.6");
const pidfdOpen = libc.func("long syscall(long number, int pid, unsigned int flags)");
const pidfdGetfd = libc.func("long syscall(long number, int pidfd, int fd, unsigned int flags)");
const getsockopt = libc.func(
  "int getsockopt(int fd, int level, int option, _Inout_ uint8_t *value, _Inout_ uint32_t *length)",
);
const close = libc.func("int close(int fd)");

interface Place {
  readonly fd: number;
  readonly cookie: bigint;
}

/** One process's connection with one address, found anew whenever it is another one. */
export class KernelConnection {
  #place: (Place & { readonly pid: number }) | undefined;

  /** Keys of the one established connection of process `pid` with `remote`, on either end's `port` where one is given. */
  keys(pid: number, remote: string, port?: number): KernelKey[] {
    const known = this.#place;
    const keys = known?.pid === pid ? keysOfKnown(pid, known) : undefined;
    if (keys !== undefined) return keys;
    this.#place = undefined;
    const fd = connectionOf(pid, remote, port);
    return duplicated(pid, fd, (own) => {
      this.#place = { pid, fd, cookie: cookieOf(own) };
      return readKeys(own, MAX_KEYS);
    });
  }
}

/** Keys of the one established TCP connection of process `pid` with `remote`, on either end's `port` where one is given. */
export function kernelKeys(pid: number, remote: string, port?: number): KernelKey[] {
  return new KernelConnection().keys(pid, remote, port);
}

/** Keys of all established connections of process `pid` with `remote`, each one's apart. */
export function allKernelKeys(pid: number, remote: string, port?: number): KernelKey[][] {
  const fds = connectionsOf(pid, remote, port);
  return fds.map((fd) => duplicated(pid, fd, (own) => readKeys(own, MAX_KEYS)));
}

function connectionOf(pid: number, remote: string, port?: number): number {
  const fds = connectionsOf(pid, remote, port);
  const [fd] = fds;
  if (fd === undefined || fds.length > 1)
    throw new Error(`process ${pid} has ${fds.length} connections with ${remote}`);
  return fd;
}

function connectionsOf(pid: number, remote: string, port?: number): number[] {
  const isOurs = (one: ProcessSocket): boolean =>
    one.state === "established" &&
    one.remoteAddress === remote &&
    (port === undefined || one.localPort === port || one.remotePort === port);
  return socketsOf(pid)
    .filter(isOurs)
    .map(({ fd }) => fd);
}

/** Undefined: the descriptor is closed, which pidfd_getfd answers with EBADF; the connection has to be found anew. */
function keysOfKnown(pid: number, { fd, cookie }: Place): KernelKey[] | undefined {
  try {
    return duplicated(pid, fd, (own) => keysOfSame(own, cookie));
  } catch {
    return undefined;
  }
}

/** Undefined: the descriptor is another socket by now, or its connection is over. */
function keysOfSame(fd: number, cookie: bigint): KernelKey[] | undefined {
  if (cookieOf(fd) !== cookie) return undefined;
  const info = new Uint8Array(TCP_INFO_BYTES);
  checked("TCP_INFO", Number(getsockopt(fd, SOL_TCP, TCP_INFO, info, [info.length])));
  return info[0] === TCP_ESTABLISHED ? readKeys(fd, MAX_KEYS) : undefined;
}

function cookieOf(fd: number): bigint {
  const cookie = new Uint8Array(8);
  checked("SO_COOKIE", Number(getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, [cookie.length])));
  return new DataView(cookie.buffer).getBigUint64(0, true);
}

/** Keys of the listening sockets of process `pid`, each socket's apart. */
export function listenerKeys(pid: number): KernelKey[][] {
  const listeners = socketsOf(pid).filter(({ state }) => state === "listen");
  return listeners.map(({ fd }) => duplicated(pid, fd, (own) => readKeys(own, MAX_LISTENER_KEYS)));
}

function duplicated<T>(pid: number, fd: number, use: (fd: number) => T): T {
  const pidfd = checked("pidfd_open", Number(pidfdOpen(SYS_PIDFD_OPEN, pid, 0)));
  try {
    const own = checked("pidfd_getfd", Number(pidfdGetfd(SYS_PIDFD_GETFD, pidfd, fd, 0)));
    try {
      return use(own);
    } finally {
      close(own);
    }
  } finally {
    close(pidfd);
  }
}

function readKeys(fd: number, most: number): KernelKey[] {
  const buffer = new Uint8Array(SIZE * most);
  const view = new DataView(buffer.buffer);
  view.setUint32(AT.count, most, true);
  view.setUint16(AT.flags, 4, true); // get_all
  checked("TCP_AO_GET_KEYS", Number(getsockopt(fd, SOL_TCP, TCP_AO_GET_KEYS, buffer, [SIZE])));
  return Array.from({ length: view.getUint32(AT.count, true) }, (_, i) => {
    const entry = new DataView(buffer.buffer, i * SIZE, SIZE);
    const name = buffer.subarray(i * SIZE + AT.algorithm, i * SIZE + AT.key);
    const masterKey = buffer.subarray(i * SIZE + AT.key, i * SIZE + AT.key + entry.getUint8(AT.keyLength));
    return {
      sendId: entry.getUint8(AT.sendId),
      recvId: entry.getUint8(AT.recvId),
      algorithm: Buffer.from(name.subarray(0, name.indexOf(0))).toString("latin1"),
      macLength: entry.getUint8(AT.macLength),
      keyHex: Buffer.from(masterKey).toString("hex"),
      tcpOptions: (entry.getUint8(AT.keyFlags) & EXCLUDE_OPTIONS) === 0,
      isCurrent: (entry.getUint16(AT.flags, true) & 1) !== 0,
      isRnext: (entry.getUint16(AT.flags, true) & 2) !== 0,
      good: Number(entry.getBigUint64(AT.good, true)),
      bad: Number(entry.getBigUint64(AT.bad, true)),
    };
  });
}

function checked(call: string, result: number): number {
  if (result < 0) throw new Error(`${call} failed with errno ${koffi.errno()}`);
  return result;
}
