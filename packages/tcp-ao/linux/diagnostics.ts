import { LinuxTcpAoError, namedErrno } from "./errors.ts";
import { decodeSocket, encodeDestroy, encodeDump, type KernelSocket } from "./inetDiag.ts";
import { libc } from "./libc.ts";
import {
  decodeErrno,
  decodeMessages,
  malformed,
  type NetlinkMessage,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
} from "./netlink.ts";

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_SOCK_DIAG = 4;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const MSG_TRUNC = 0x20;
const RECEIVE_BYTES = 65_536;
/** The kernel answers at once; this only keeps a fault from stopping the caller's event loop for good. */
const TIMEOUT_SECONDS = 5n;
/** How often a dump that was overrun or overtaken by a change is begun anew. */
const ATTEMPTS = 5;

/**
 * The TCP sockets of this network namespace, all processes' and both families', without those that are only waiting
 * out their time. Needs no privilege.
 * @param filter `port`: only sockets that have it at either end; `withMd5Peers`: for whom they have TCP MD5 keys, which
 *   takes CAP_NET_ADMIN and a longer answer
 * @throws LinuxTcpAoError, mostly `diagnosticsMissing`
 */
export function listTcpSockets(
  filter: { readonly port?: number; readonly withMd5Peers?: boolean } = {},
): readonly KernelSocket[] {
  const { port, withMd5Peers } = filter;
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
    const advice = `a port is an integer from 1 to 65535, not ${port}`;
    throw new LinuxTcpAoError("socket diagnostics", { code: "invalidArgument", advice });
  }
  const ends = port === undefined ? [{ local: 0, remote: 0 }] : [portAt("local", port), portAt("remote", port)];
  // By cookie: the kernel may list a socket twice while its table changes
  const sockets = new Map<bigint, KernelSocket>();
  for (const domain of ["ipv4", "ipv6"] as const) {
    for (const ports of ends) {
      const listed = dump((sequence) => encodeDump(domain, ports, sequence, withMd5Peers));
      for (const socket of listed) sockets.set(socket.cookie, socket);
    }
  }
  return [...sockets.values()];
}

function portAt(end: "local" | "remote", port: number): { readonly local: number; readonly remote: number } {
  return end === "local" ? { local: port, remote: 0 } : { local: 0, remote: port };
}

/**
 * Ends a connection (with RST) or a listener of any process at once: SOCK_DESTROY. Its owner sees ECONNABORTED.
 * Only the very socket that was listed: one that took its place is left alone. Needs CAP_NET_ADMIN.
 * @throws LinuxTcpAoError, mostly `socketGone`, `notPermitted`, `destroyUnsupported`
 */
export function destroySocket(socket: KernelSocket): void {
  const errno = ask(encodeDestroy(socket, 1), 1, (answers) => {
    for (const message of answers) {
      if (message.type === NLMSG_ERROR) return decodeErrno(message);
      throw malformed(`message type ${message.type} answers SOCK_DESTROY`);
    }
    return 0;
  });
  if (errno !== 0) throw namedErrno("SOCK_DESTROY", errno);
}

function dump(request: (sequence: number) => Uint8Array): readonly KernelSocket[] {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      const sockets = dumpOnce(request(attempt), attempt);
      if (sockets !== "interrupted") return sockets;
    } catch (error) {
      // The answer came faster than it was read
      if (!(error instanceof LinuxTcpAoError && error.errno === "ENOBUFS")) throw error;
    }
  }
  const advice = "the table of sockets changed each time while it was read; try again";
  throw new LinuxTcpAoError("socket diagnostics", { code: "interrupted", advice });
}

function dumpOnce(request: Uint8Array, sequence: number): readonly KernelSocket[] | "interrupted" {
  return ask(request, sequence, (answers) => {
    const sockets: KernelSocket[] = [];
    let isInterrupted = false;
    for (const message of answers) {
      if ((message.flags & NLM_F_DUMP_INTR) !== 0) isInterrupted = true;
      if (isEnd(message)) break;
      const socket = decodeSocket(message.payload);
      if (socket !== undefined) sockets.push(socket);
    }
    return isInterrupted ? "interrupted" : sockets;
  });
}

/** Whether the dump is complete. @throws LinuxTcpAoError when the kernel gave it up */
function isEnd(message: NetlinkMessage): boolean {
  if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) return false;
  const errno = decodeErrno(message);
  if (errno !== 0) throw namedErrno("socket diagnostics", errno);
  if (message.type === NLMSG_ERROR) throw malformed("an acknowledgement that was not asked for");
  return true;
}

/**
 * Sends one request on a netlink socket of its own: what was left unread of an earlier one can never be taken for an
 * answer.
 * @param read takes as many answers as belong to the request
 */
function ask<Result>(request: Uint8Array, sequence: number, read: (answers: Iterable<NetlinkMessage>) => Result) {
  const fd = libc().socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_SOCK_DIAG, "socket diagnostics");
  try {
    // struct timeval: seconds:s64 microseconds:s64
    const timeout = new Uint8Array(BigInt64Array.of(TIMEOUT_SECONDS, 0n).buffer);
    libc().setsockopt("socket diagnostics", fd, SOL_SOCKET, SO_RCVTIMEO, timeout);
    libc().send("socket diagnostics", fd, request);
    return read(answersTo(fd, sequence));
  } finally {
    libc().close(fd);
  }
}

function* answersTo(fd: number, sequence: number): Generator<NetlinkMessage> {
  const buffer = new Uint8Array(RECEIVE_BYTES);
  for (;;) {
    // struct sockaddr_nl: family:u16 pad:u16 port:u32 groups:u32; port 0 is the kernel
    const sender = new Uint8Array(12);
    const length = libc().receive("socket diagnostics", fd, buffer, MSG_TRUNC, sender);
    if (length > buffer.length) throw malformed(`a datagram of ${length} octets`);
    if (new DataView(sender.buffer).getUint32(4, true) !== 0) continue;
    for (const message of decodeMessages(buffer.subarray(0, length))) {
      if (message.sequence === sequence) yield message;
    }
  }
}
