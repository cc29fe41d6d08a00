import { createRequire } from "node:module";
import { endianness, platform } from "node:os";
import { errnoName, kernelError, LinuxTcpAoError, type TcpAoOperation } from "./errors.ts";

/** The calls of the C library that TCP-AO needs. Each throws {@link LinuxTcpAoError} when it fails. */
export interface Libc {
  socket(domain: number, type: number, protocol: number, operation?: TcpAoOperation): number;
  bind(fd: number, address: Uint8Array): void;
  setsockopt(operation: TcpAoOperation, fd: number, level: number, option: number, value: Uint8Array): void;
  /** Reads into `value`, telling the kernel that it has `size` octets. */
  getsockopt(
    operation: TcpAoOperation,
    fd: number,
    level: number,
    option: number,
    value: Uint8Array,
    size: number,
  ): void;
  /** Fill in a struct sockaddr. */
  getsockname(fd: number, address: Uint8Array): void;
  getpeername(fd: number, address: Uint8Array): void;
  /** if_nametoindex(). */
  interfaceIndex(name: string): number;
  send(operation: TcpAoOperation, fd: number, value: Uint8Array): void;
  /** recvfrom(). @returns the length of the datagram, which may be more than fits into `value` with MSG_TRUNC */
  receive(operation: TcpAoOperation, fd: number, value: Uint8Array, flags: number, sender: Uint8Array): number;
  /** A system call of integers that has no function of its own. */
  syscall(operation: TcpAoOperation, call: number, first: number, second: number, third: number): number;
  close(fd: number): void;
}

type NativeCall = (...values: readonly (number | Uint8Array)[]) => number;

/** What is used of koffi. Its own types would make an optional dependency a compile-time one for users. */
interface Koffi {
  load(path: string): { func(prototype: string): NativeCall };
  errno(): number;
}

let loaded: Libc | undefined;

/**
 * The C library of this process, loaded at the first call.
 * @throws LinuxTcpAoError `unsupportedPlatform`, `ffiUnavailable`
 */
export function libc(): Libc {
  loaded ??= load();
  return loaded;
}

function load(): Libc {
  if (platform() !== "linux" || endianness() !== "LE") {
    const advice =
      "the socket options of TCP-AO are used on little-endian Linux only; use the endpoint of @karp/tcp-ao elsewhere";
    throw new LinuxTcpAoError("load libc", { code: "unsupportedPlatform", advice });
  }
  const koffi = loadKoffi();
  const library = openLibrary(koffi);
  const calls = {
    socket: library.func("int socket(int domain, int type, int protocol)"),
    bind: library.func("int bind(int fd, const void *address, uint32_t length)"),
    setsockopt: library.func("int setsockopt(int fd, int level, int name, const void *value, uint32_t length)"),
    getsockopt: library.func("int getsockopt(int fd, int level, int name, void *value, void *length)"),
    getsockname: library.func("int getsockname(int fd, void *address, void *length)"),
    getpeername: library.func("int getpeername(int fd, void *address, void *length)"),
    interfaceIndex: library.func("unsigned int if_nametoindex(const void *name)"),
    send: library.func("long send(int fd, const void *value, size_t length, int flags)"),
    receive: library.func(
      "long recvfrom(int fd, void *value, size_t length, int flags, void *sender, void *senderLength)",
    ),
    syscall: library.func("long syscall(long number, long first, long second, long third)"),
    close: library.func("int close(int fd)"),
  };
  const check = (operation: TcpAoOperation, result: number): number => {
    if (result >= 0) return result;
    throw kernelError(operation, errnoName(koffi.errno()));
  };
  /** A signal that the process handles may interrupt a call that waits. */
  const retry = (call: () => number): number => {
    let result = call();
    while (result < 0 && errnoName(koffi.errno()) === "EINTR") result = call();
    return result;
  };
  return {
    socket: (domain, type, protocol, operation = "socket") => check(operation, calls.socket(domain, type, protocol)),
    bind: (fd, address) => void check("bind", calls.bind(fd, address, address.length)),
    setsockopt: (operation, fd, level, option, value) =>
      void check(operation, calls.setsockopt(fd, level, option, value, value.length)),
    getsockopt(operation, fd, level, option, value, size) {
      const length = new Uint8Array(Uint32Array.of(size).buffer);
      check(operation, calls.getsockopt(fd, level, option, value, length));
    },
    getsockname: (fd, address) => void check("getsockname", calls.getsockname(fd, address, sizeOf(address))),
    getpeername: (fd, address) => void check("getpeername", calls.getpeername(fd, address, sizeOf(address))),
    interfaceIndex: (name) =>
      check("find device", calls.interfaceIndex(new TextEncoder().encode(`${name}\0`)) || FAILED),
    send(operation, fd, value) {
      check(
        operation,
        retry(() => calls.send(fd, value, value.length, 0)),
      );
    },
    receive: (operation, fd, value, flags, sender) =>
      check(
        operation,
        retry(() => calls.receive(fd, value, value.length, flags, sender, sizeOf(sender))),
      ),
    syscall: (operation, call, first, second, third) => check(operation, calls.syscall(call, first, second, third)),
    close: (fd) => void calls.close(fd),
  };
}

function loadKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)("koffi") as Koffi;
  } catch (error) {
    const advice = "the optional dependency koffi is not installed or does not run here; install it to key sockets";
    throw new LinuxTcpAoError("load libc", { code: "ffiUnavailable", advice }, undefined, error);
  }
}

/** glibc, or musl under the name of its architecture. */
function openLibrary(koffi: Koffi): ReturnType<Koffi["load"]> {
  const musl = { x64: "libc.musl-x86_64.so.1", arm64: "libc.musl-aarch64.so.1" }[process.arch as "x64" | "arm64"];
  try {
    return koffi.load("libc.so.6");
  } catch (error) {
    if (musl !== undefined) {
      try {
        return koffi.load(musl);
      } catch {
        // The first error says more
      }
    }
    const advice = "neither glibc nor musl could be opened; report the distribution";
    throw new LinuxTcpAoError("load libc", { code: "ffiUnavailable", advice }, undefined, error);
  }
}

/** What calls return that failed. */
const FAILED = -1;

/** A socklen_t that the kernel reads and writes. */
function sizeOf(address: Uint8Array): Uint8Array {
  return new Uint8Array(Uint32Array.of(address.length).buffer);
}
