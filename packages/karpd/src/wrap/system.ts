// The calls of the C library that `karp wrap` needs and Node.js does not have.
import { createRequire } from "node:module";
import { constants } from "node:os";

type Value = number | bigint | Uint8Array | null;
interface Native {
  (...values: readonly Value[]): number;
  async(...values: readonly [...Value[], (error: Error | null, result: number) => void]): void;
}
interface Koffi {
  load(path: string): { func(prototype: string): Native };
  address(value: Uint8Array): number | bigint;
  errno(): number;
}

/** A system call that failed; `errno` is positive, as in errno.h. */
export class SystemCallError extends Error {
  override readonly name = "SystemCallError";
  readonly errno: number;
  /** "EPERM" and so on. */
  readonly code: string;

  constructor(call: string, errno: number) {
    const code = errnoName(errno);
    super(`${call}: ${code}`);
    this.errno = errno;
    this.code = code;
  }
}

/** Those of Linux (asm-generic/errno.h) that Node.js has no name for and a connect() may get. */
const errnos: Readonly<Record<string, number>> = {
  ...constants.errno,
  ENOKEY: 126,
  EKEYEXPIRED: 127,
  EKEYREVOKED: 128,
  EKEYREJECTED: 129,
};

function errnoName(errno: number): string {
  return Object.entries(errnos).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
}

/** @returns a positive number; `otherwise` for a name that this system does not have */
export function errnoOf(name: string, otherwise: number): number {
  return (Object.hasOwn(errnos, name) ? errnos[name] : undefined) ?? otherwise;
}

const requireNative = createRequire(import.meta.url);
let loaded: ReturnType<typeof load> | undefined;

function native(): ReturnType<typeof load> {
  loaded ??= load();
  return loaded;
}

function load() {
  const koffi = requireNative("koffi") as Koffi;
  const libc = koffi.load("libc.so.6");
  return {
    koffi,
    syscall: libc.func("long syscall(long number, long a, long b, void *c)"),
    processRead: libc.func(
      "long process_vm_readv(int pid, const void *local, unsigned long n, const void *remote, unsigned long m, unsigned long flags)",
    ),
    ioctl: libc.func("int ioctl(int fd, unsigned long request, void *argument)"),
    poll: libc.func("int poll(void *fds, unsigned long count, int timeout)"),
    connect: libc.func("int connect(int fd, const void *address, uint32_t length)"),
    getsockopt: libc.func("int getsockopt(int fd, int level, int name, void *value, void *length)"),
    setsockopt: libc.func("int setsockopt(int fd, int level, int name, const void *value, uint32_t length)"),
    fcntl: libc.func("int fcntl(int fd, int command)"),
    socket: libc.func("int socket(int domain, int type, int protocol)"),
    sendmsg: libc.func("long sendmsg(int fd, const void *message, int flags)"),
    prctl: libc.func("int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)"),
    setrlimit: libc.func("int setrlimit(int resource, const void *limit)"),
    getrlimit: libc.func("int getrlimit(int resource, void *limit)"),
    waitpid: libc.func("int waitpid(int pid, void *status, int options)"),
    exit: libc.func("void _exit(int status)"),
    close: libc.func("int close(int fd)"),
  };
}

/** @throws SystemCallError when `result` is negative */
function checked(call: string, result: number): number {
  if (result >= 0) return result;
  throw new SystemCallError(call, native().koffi.errno());
}

/** Where the octets are, for structures that hold pointers. The caller keeps `bytes` alive until the call is over. */
function pointerTo(bytes: Uint8Array): bigint {
  return BigInt(native().koffi.address(bytes));
}

const SYS_SECCOMP = { x64: 317, arm64: 277 } as const;
const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8;
const SECCOMP_GET_NOTIF_SIZES = 3;

/**
 * Installs the filter on the calling thread and on what it starts from now on.
 * @returns the descriptor on which its notifications arrive; it closes on exec
 * @throws SystemCallError EACCES without CAP_SYS_ADMIN and no_new_privs, EBUSY when a filter with a listener is there
 */
export function installSeccompFilter(architecture: keyof typeof SYS_SECCOMP, program: Uint8Array): number {
  // struct sock_fprog { unsigned short len; struct sock_filter *filter; }
  const fprog = new Uint8Array(16);
  const view = new DataView(fprog.buffer);
  view.setUint16(0, program.length / 8, true);
  view.setBigUint64(8, pointerTo(program), true);
  const flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
  return checked("seccomp", native().syscall(SYS_SECCOMP[architecture], SECCOMP_SET_MODE_FILTER, flags, fprog));
}

/** Octets of struct seccomp_notif and seccomp_notif_resp in this kernel, which may be longer than ours. */
export function seccompNotificationSizes(architecture: keyof typeof SYS_SECCOMP): {
  readonly notification: number;
  readonly response: number;
} {
  const sizes = new Uint8Array(6);
  checked("seccomp", native().syscall(SYS_SECCOMP[architecture], SECCOMP_GET_NOTIF_SIZES, 0, sizes));
  const view = new DataView(sizes.buffer);
  return { notification: view.getUint16(0, true), response: view.getUint16(2, true) };
}

/** @throws SystemCallError */
export function ioctl(fd: number, request: number, argument: Uint8Array): number {
  return checked("ioctl", native().ioctl(fd, request, argument));
}

/** The same in a thread of its own, for a call that waits. */
export function ioctlInThread(fd: number, request: number, argument: Uint8Array): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  native().ioctl.async(fd, request, argument, (error, result) => {
    if (error !== null) reject(error);
    else if (result < 0) reject(new SystemCallError("ioctl", native().koffi.errno()));
    else resolve();
  });
  return promise;
}

const POLLHUP = 0x10;

/** Has the other side of this descriptor gone for good? Does not wait. */
export function isHungUp(fd: number): boolean {
  const entry = new Uint8Array(8);
  const view = new DataView(entry.buffer);
  view.setInt32(0, fd, true);
  checked("poll", native().poll(entry, 1, 0));
  return (view.getUint16(6, true) & POLLHUP) !== 0;
}

/** Copies octets of another process. @returns what could be read: fewer where its memory ends. @throws SystemCallError */
export function readMemory(pid: number, address: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const local = new BigUint64Array([pointerTo(bytes), BigInt(length)]);
  const remote = new BigUint64Array([address, BigInt(length)]);
  const result = native().processRead(pid, new Uint8Array(local.buffer), 1, new Uint8Array(remote.buffer), 1, 0);
  return bytes.subarray(0, checked("process_vm_readv", Number(result)));
}

/** @returns zero, or the error number: what connect() says is an answer here, not an exception */
export function connect(fd: number, address: Uint8Array): number {
  return native().connect(fd, address, address.length) < 0 ? native().koffi.errno() : 0;
}

/** Reads at most `size` octets of an option. @throws SystemCallError */
export function socketOption(fd: number, level: number, name: number, size: number): Uint8Array {
  const value = new Uint8Array(size);
  const length = new Uint8Array(Uint32Array.of(size).buffer);
  checked("getsockopt", native().getsockopt(fd, level, name, value, length));
  return value.subarray(0, new DataView(length.buffer).getUint32(0, true));
}

/** @throws SystemCallError */
export function setSocketOption(fd: number, level: number, name: number, value: Uint8Array): void {
  checked("setsockopt", native().setsockopt(fd, level, name, value, value.length));
}

const F_GETFL = 3;
const O_NONBLOCK = 0o4000;

/** Is the open file description, which all processes that have it share, in non-blocking mode? */
export function isNonBlocking(fd: number): boolean {
  return (checked("fcntl", native().fcntl(fd, F_GETFL)) & O_NONBLOCK) !== 0;
}

export function close(fd: number): void {
  native().close(fd);
}

const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_CHILD_SUBREAPER = 36;

/** Of the calling thread and what it starts: exec gives no privileges any more. */
export function setNoNewPrivileges(): void {
  checked("prctl", native().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/** Orphans among our descendants become our children. */
export function becomeSubreaper(): void {
  checked("prctl", native().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

export interface ResourceLimit {
  readonly soft: bigint;
  readonly hard: bigint;
}
export const RLIMIT_CORE = 4;
export const RLIMIT_NOFILE = 7;

export function resourceLimit(resource: number): ResourceLimit {
  const limit = new BigUint64Array(2);
  checked("getrlimit", native().getrlimit(resource, new Uint8Array(limit.buffer)));
  return { soft: limit[0] ?? 0n, hard: limit[1] ?? 0n };
}

export function setResourceLimit(resource: number, { soft, hard }: ResourceLimit): void {
  checked("setrlimit", native().setrlimit(resource, new Uint8Array(new BigUint64Array([soft, hard]).buffer)));
}

/** How a child ended: its exit code or the number of the signal. */
export interface ChildEnd {
  readonly pid: number;
  readonly code?: number;
  readonly signal?: number;
}

const WNOHANG = 1;

/** One child that has ended and that nobody has waited for; undefined: there is none now. */
export function reapChild(): ChildEnd | undefined {
  const status = new Uint8Array(4);
  const pid = native().waitpid(-1, status, WNOHANG);
  if (pid <= 0) return undefined;
  const word = new DataView(status.buffer).getInt32(0, true);
  const signal = word & 0x7f;
  return signal === 0 ? { pid, code: (word >> 8) & 0xff } : { pid, signal };
}

/** Ends the process at once: a thread that waits in a call to the kernel holds up process.exit(). */
export function exitNow(status: number): never {
  native().exit(status);
  throw new Error("unreachable: _exit() returned");
}

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;

/**
 * Sends a text, and a descriptor with it, to a unix datagram socket.
 * @param path of the socket; "@…" for one in the abstract name space
 * @throws SystemCallError
 */
export function sendDescriptor(path: string, text: string, descriptor: number | undefined): void {
  const name = Buffer.from(path.startsWith("@") ? `\0${path.slice(1)}` : path);
  const address = Buffer.concat([Uint8Array.of(AF_UNIX, 0), name]);
  const payload = Buffer.from(text);
  const vector = words(pointerTo(payload), BigInt(payload.length));
  // struct cmsghdr { size_t len; int level; int type; } and the descriptor, padded to 8 octets
  const control = new Uint8Array(24);
  const view = new DataView(control.buffer);
  view.setBigUint64(0, 20n, true);
  view.setInt32(8, SOL_SOCKET, true);
  view.setInt32(12, SCM_RIGHTS, true);
  view.setInt32(16, descriptor ?? -1, true);
  const rights = descriptor === undefined ? [0n, 0n] : [pointerTo(control), BigInt(control.length)];
  // struct msghdr { name, namelen, iov, iovlen, control, controllen, flags }, each in 8 octets
  const message = words(...[pointerTo(address), BigInt(address.length), pointerTo(vector), 1n], ...rights, 0n);
  const fd = checked("socket", native().socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0));
  try {
    checked("sendmsg", Number(native().sendmsg(fd, message, 0)));
  } finally {
    close(fd);
  }
}

function words(...values: readonly bigint[]): Uint8Array {
  return new Uint8Array(new BigUint64Array(values).buffer);
}
