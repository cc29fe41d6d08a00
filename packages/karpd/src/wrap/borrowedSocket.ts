import { readFileSync } from "node:fs";
import { duplicateDescriptor, LinuxTcpAoError } from "@karp/tcp-ao/linux";
import type { ConnectAnswer } from "./notifications.ts";
import { close, connect, errnoOf, isNonBlocking, SystemCallError, setSocketOption, socketOption } from "./system.ts";

const SOL_SOCKET = 1;
const SO_TYPE = 3;
const SO_SNDTIMEO = 21;
const SO_PROTOCOL = 38;
const SO_DOMAIN = 39;
const SO_COOKIE = 57;
const TCP_INFO = 11;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const IPPROTO_TCP = 6;
const IPPROTO_MPTCP = 262;
const TCP_CLOSE = 7;
const TIMEVAL_BYTES = 16;
/** The shortest time that is not "for ever": the kernel rounds it up to one tick. */
const SHORTEST_TIMEOUT = new Uint8Array(new BigUint64Array([0n, 1n]).buffer);

/** Our duplicate of a socket that a thread of the daemon wants to connect. It is one socket: what we do happens to theirs. */
export class BorrowedSocket {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /**
   * pidfd_open and pidfd_getfd. The thread's own table of descriptors where the kernel can (PIDFD_THREAD, Linux 6.9),
   * else that of its process.
   * @throws LinuxTcpAoError
   */
  static take(thread: number, fd: number): BorrowedSocket {
    try {
      return new BorrowedSocket(duplicateDescriptor(thread, fd, { thread: true }));
    } catch (error) {
      if (!(error instanceof LinuxTcpAoError) || error.errno !== "EINVAL") throw error;
      return new BorrowedSocket(duplicateDescriptor(processOf(thread), fd));
    }
  }

  /** An IPv4 or IPv6 socket of TCP, or of Multipath TCP, which falls back to it. */
  isTcp(): boolean {
    try {
      const [domain, type, protocol] = [SO_DOMAIN, SO_TYPE, SO_PROTOCOL].map((name) => this.#number(name));
      if (domain !== AF_INET && domain !== AF_INET6) return false;
      return type === SOCK_STREAM && (protocol === IPPROTO_TCP || protocol === IPPROTO_MPTCP);
    } catch (error) {
      if (error instanceof SystemCallError && error.code === "ENOTSOCK") return false;
      throw error;
    }
  }

  /** Is there no connection, not even one that is being made? Only then is there a SYN to come. */
  isClosed(): boolean {
    const [state] = socketOption(this.fd, IPPROTO_TCP, TCP_INFO, 1);
    return state === TCP_CLOSE;
  }

  /** Names the socket as long as the machine runs. */
  cookie(): bigint {
    const value = socketOption(this.fd, SOL_SOCKET, SO_COOKIE, 8);
    return new DataView(value.buffer).getBigUint64(0, true);
  }

  isNonBlocking(): boolean {
    return isNonBlocking(this.fd);
  }

  /**
   * Connects the socket to the address that was copied, so that nothing the daemon writes later changes where it goes.
   *
   * Of a socket in blocking mode only the beginning is done here: with a send timeout of one tick connect() sends the
   * SYN and comes back, and the thread's own call, let go now, waits for the rest. On a socket that is being connected
   * the kernel does not look at the address any more (inet_stream_connect), and its timeouts and signals are those of
   * the daemon.
   */
  connect(address: Uint8Array): ConnectAnswer {
    if (this.isNonBlocking()) return { errno: connect(this.fd, address) };
    const timeout = socketOption(this.fd, SOL_SOCKET, SO_SNDTIMEO, TIMEVAL_BYTES);
    setSocketOption(this.fd, SOL_SOCKET, SO_SNDTIMEO, SHORTEST_TIMEOUT);
    const errno = connect(this.fd, address);
    setSocketOption(this.fd, SOL_SOCKET, SO_SNDTIMEO, timeout);
    return isUnderWay(errno) ? "continue" : { errno };
  }

  /** A duplicate that stayed open would keep the connection alive after the daemon has closed it. */
  close(): void {
    close(this.fd);
  }

  #number(name: number): number {
    const value = socketOption(this.fd, SOL_SOCKET, name, 4);
    return new DataView(value.buffer).getInt32(0, true);
  }
}

const IN_PROGRESS = errnoOf("EINPROGRESS", 115);
const ALREADY = errnoOf("EALREADY", 114);
const INTERRUPTED = errnoOf("EINTR", 4);

function isUnderWay(errno: number): boolean {
  // A signal for this process ends its wait and not the connection (connect(2))
  return errno === IN_PROGRESS || errno === ALREADY || errno === INTERRUPTED;
}

/** The process of a thread. @throws Error when the thread has ended */
function processOf(thread: number): number {
  return Number(/^Tgid:\s+(\d+)$/m.exec(readFileSync(`/proc/${thread}/status`, "utf8"))?.[1] ?? thread);
}
