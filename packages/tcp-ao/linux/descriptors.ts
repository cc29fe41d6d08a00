import { LinuxTcpAoError } from "./errors.ts";
import type { SocketHolder } from "./holders.ts";
import type { KernelSocket } from "./inetDiag.ts";
import { libc } from "./libc.ts";
import { AF_INET, AF_INET6, decodeSocketAddress, SOCKADDR_STORAGE_BYTES } from "./sockaddr.ts";

const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
/** PIDFD_THREAD is O_EXCL. */
const PIDFD_THREAD = 0o200;
const SOL_SOCKET = 1;
const SO_TYPE = 3;
const SO_PROTOCOL = 38;
const SO_DOMAIN = 39;
const SO_COOKIE = 57;
const SO_BINDTOIFINDEX = 62;
const IPPROTO_TCP = 6;

/** What a descriptor is. Addresses are absent where the socket has none. */
export interface DescribedSocket {
  readonly cookie: bigint;
  readonly domain: "ipv4" | "ipv6" | "other";
  readonly type: "stream" | "dgram" | "other";
  /** 6: TCP. */
  readonly protocol: number;
  /** In text, a mapped IPv4 address as IPv4; "0.0.0.0" or "::" and port 0 before it is bound. */
  readonly localAddress?: string;
  readonly localPort?: number;
  /** Only while it is connected. */
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  /** Of the device or VRF that it is bound to; 0: to none. */
  readonly interfaceIndex: number;
}

/**
 * A duplicate of another process's descriptor: pidfd_open, pidfd_getfd. It names the same socket, closes on exec, and
 * the caller closes it with {@link closeSocket}. Needs the right to trace that process.
 * @param options `thread`: `pid` is a thread whose table of descriptors may be its own (Linux 6.9)
 * @throws LinuxTcpAoError, mostly `processGone`, `badDescriptor`, `notPermitted`, `kernelTooOld`
 */
export function duplicateDescriptor(pid: number, fd: number, options: { readonly thread?: boolean } = {}): number {
  const process = libc().syscall("pidfd_open", SYS_PIDFD_OPEN, pid, options.thread === true ? PIDFD_THREAD : 0, 0);
  try {
    return libc().syscall("pidfd_getfd", SYS_PIDFD_GETFD, process, fd, 0);
  } finally {
    libc().close(process);
  }
}

/**
 * {@link duplicateDescriptor} of a socket that was listed before. Between the listing and this call the process may
 * have closed it, opened another under the same number, or ended: so cookie, family, protocol, addresses and device
 * are compared before the descriptor is handed out.
 * @throws LinuxTcpAoError `socketChanged`, and those of duplicateDescriptor
 */
export function duplicateSocket(holder: SocketHolder, expected: KernelSocket): number {
  const fd = duplicateDescriptor(holder.pid, holder.fd);
  try {
    assertSame(describeSocket(fd), expected);
    return fd;
  } catch (error) {
    libc().close(fd);
    throw error;
  }
}

/**
 * What this descriptor is, from the kernel.
 * @throws LinuxTcpAoError `badDescriptor` when it is closed or not a socket
 */
export function describeSocket(fd: number): DescribedSocket {
  const domain = domains.get(option32(fd, SO_DOMAIN)) ?? "other";
  const local = domain === "other" ? undefined : addressOf(fd, "getsockname");
  const remote = domain === "other" ? undefined : addressOf(fd, "getpeername");
  return {
    cookie: option64(fd, SO_COOKIE),
    domain,
    type: types.get(option32(fd, SO_TYPE)) ?? "other",
    protocol: option32(fd, SO_PROTOCOL),
    ...(local && { localAddress: local.address, localPort: local.port }),
    ...(remote && { remoteAddress: remote.address, remotePort: remote.port }),
    interfaceIndex: option32(fd, SO_BINDTOIFINDEX),
  };
}

const domains: ReadonlyMap<number, "ipv4" | "ipv6"> = new Map([
  [AF_INET, "ipv4"],
  [AF_INET6, "ipv6"],
]);
const types: ReadonlyMap<number, "stream" | "dgram"> = new Map([
  [1, "stream"],
  [2, "dgram"],
]);

function assertSame(found: DescribedSocket, expected: KernelSocket): void {
  const difference = differenceOf(found, expected);
  if (difference === undefined) return;
  const advice = `the process has another socket there now (${difference}); list the sockets again`;
  throw new LinuxTcpAoError("compare socket", { code: "socketChanged", advice });
}

/** What is not as expected; undefined: it is the same socket. */
export function differenceOf(found: DescribedSocket, expected: KernelSocket): string | undefined {
  if (found.cookie !== expected.cookie) return "its cookie differs";
  if (found.domain !== expected.domain) return "its family differs";
  if (found.type !== "stream" || found.protocol !== IPPROTO_TCP) return "it is not TCP";
  if (found.localAddress !== expected.localAddress || found.localPort !== expected.localPort) {
    return "its local address differs";
  }
  if (found.interfaceIndex !== expected.interfaceIndex) return "its device differs";
  return remoteDifference(found, expected);
}

function remoteDifference(found: DescribedSocket, expected: KernelSocket): string | undefined {
  if (found.remoteAddress === undefined) {
    // A listener has no peer, and getpeername() names none before the connection stands
    const isExpected = expected.state === "listen" || expected.state === "syn-sent";
    return isExpected ? undefined : "it is no longer connected";
  }
  const isSame = found.remoteAddress === expected.remoteAddress && found.remotePort === expected.remotePort;
  return isSame ? undefined : "its peer differs";
}

function option32(fd: number, name: number): number {
  const value = new Uint8Array(4);
  libc().getsockopt("describe socket", fd, SOL_SOCKET, name, value, value.length);
  return new DataView(value.buffer).getInt32(0, true);
}

function option64(fd: number, name: number): bigint {
  const value = new Uint8Array(8);
  libc().getsockopt("describe socket", fd, SOL_SOCKET, name, value, value.length);
  return new DataView(value.buffer).getBigUint64(0, true);
}

function addressOf(fd: number, call: "getsockname" | "getpeername") {
  const bytes = new Uint8Array(SOCKADDR_STORAGE_BYTES);
  try {
    libc()[call](fd, bytes);
  } catch (error) {
    if (error instanceof LinuxTcpAoError && error.errno === "ENOTCONN") return undefined;
    throw error;
  }
  return decodeSocketAddress(bytes);
}
