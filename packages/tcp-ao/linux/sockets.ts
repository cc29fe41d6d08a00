import { type Server, Socket, type SocketConstructorOpts } from "node:net";
import { parseAddress } from "../src/index.ts";
import { LinuxTcpAoError, type TcpAoOperation } from "./errors.ts";
import { libc } from "./libc.ts";
import { AF_INET, AF_INET6, SOCKADDR_STORAGE_BYTES, writeSockaddr } from "./sockaddr.ts";
import type { KernelMkt } from "./structs.ts";
import { addKey, deleteKey } from "./tcpAo.ts";

const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_BINDTODEVICE = 25;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
/** IFNAMSIZ, with the zero at the end. */
const DEVICE_NAME_BYTES = 16;

/**
 * The descriptor of a socket or listening server of this process. It stays the socket's: never close it.
 * @throws LinuxTcpAoError `badDescriptor` when it is not open, or not a TCP socket
 */
export function fdOf(socket: Socket | Server): number {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  const fd = handle?.fd;
  if (fd === undefined || fd < 0) {
    const advice = "the socket has no descriptor; connect it or let it listen first";
    throw new LinuxTcpAoError("find descriptor", { code: "badDescriptor", advice });
  }
  return fd;
}

/**
 * A TCP socket that belongs to the caller, not yet bound or connected: the state in which a connection gets its first
 * key. Close it with {@link closeSocket}, or hand it to `new net.Socket({ fd })`.
 */
export function openSocket(domain: "ipv4" | "ipv6"): number {
  return libc().socket(domain === "ipv4" ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

export function closeSocket(fd: number): void {
  libc().close(fd);
}

export interface ConnectTcpAoOptions {
  /** An IPv4 or IPv6 address; names are not resolved. */
  readonly host: string;
  readonly port: number;
  /** The source address; default: as the kernel routes. */
  readonly localAddress?: string;
  /** The source port, for example of one of several sessions between two hosts; default: any. */
  readonly localPort?: number;
  /** Device or VRF that the socket is bound to. A link-local `host` needs one. */
  readonly device?: string;
  /** At least one must match `host`. */
  readonly keys: readonly KernelMkt[];
  /** Gives the attempt up. */
  readonly signal?: AbortSignal;
}

/**
 * Connects with TCP-AO: the socket has its keys before the first SYN leaves.
 * @returns the connected socket; rejects with LinuxTcpAoError, or the system error of connect()
 */
export async function connectTcpAo(options: ConnectTcpAoOptions): Promise<Socket> {
  const { keys, signal, host, device, ...endpoints } = options;
  signal?.throwIfAborted();
  const family = parseAddress(host).length === 4 ? 4 : 6;
  const fd = openSocket(family === 4 ? "ipv4" : "ipv6");
  const socket = adopt(fd, keys, device);
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const abort = (): void => void socket.destroy(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
  socket.once("error", reject);
  signal?.addEventListener("abort", abort);
  socket.connect({ host, family, ...endpoints }, () => resolve(socket));
  try {
    return await promise;
  } finally {
    socket.off("error", reject);
    signal?.removeEventListener("abort", abort);
  }
}

/** Binds the descriptor to its device, keys it and makes a net.Socket of it, which does not read before it is connected. */
function adopt(fd: number, keys: readonly KernelMkt[], device: string | undefined): Socket {
  try {
    if (device !== undefined) bindToDevice(fd, device);
    addKeys(fd, keys);
    // manualStart: net.Socket takes a descriptor for a connected one and would read at once, into ENOTCONN
    const options: SocketConstructorOpts & { readonly manualStart: true } = { fd, manualStart: true };
    return new Socket(options);
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
}

/**
 * Adds keys to a server that listens; connections that it accepts from then on inherit those of their peer. All or
 * none: when one is refused, those before it are deleted again.
 *
 * What connects between `listen` and this call is not authenticated. {@link listenTcpAo} leaves no such moment.
 */
export function keyListener(server: Server, keys: readonly KernelMkt[]): void {
  addKeys(fdOf(server), keys);
}

export interface ListenTcpAoOptions {
  /** An IPv4 or IPv6 address, "0.0.0.0" or "::". */
  readonly host: string;
  /** Zero: the kernel chooses. */
  readonly port: number;
  /** May be empty: {@link addKey} and PeerKeys add later peers. */
  readonly keys: readonly KernelMkt[];
  /** Device or VRF that it is bound to: only what arrives there is accepted. */
  readonly device?: string;
  /** Of "::": leave IPv4 to another listener. Default: the system's (net.ipv6.bindv6only). */
  readonly ipv6Only?: boolean;
}

/** Lets `server` listen on a socket that has its keys before the first SYN can arrive. */
export async function listenTcpAo(server: Server, options: ListenTcpAoOptions): Promise<void> {
  const domain = parseAddress(options.host).length === 4 ? "ipv4" : "ipv6";
  const fd = openSocket(domain);
  try {
    libc().setsockopt("setsockopt SO_REUSEADDR", fd, SOL_SOCKET, SO_REUSEADDR, int(1));
    if (options.device !== undefined) bindToDevice(fd, options.device);
    if (domain === "ipv6" && options.ipv6Only !== undefined) {
      libc().setsockopt("setsockopt IPV6_V6ONLY", fd, IPPROTO_IPV6, IPV6_V6ONLY, int(options.ipv6Only ? 1 : 0));
    }
    const address = new Uint8Array(SOCKADDR_STORAGE_BYTES);
    const { size } = writeSockaddr(address, { address: options.host, port: options.port, domain });
    libc().bind(fd, address.subarray(0, size));
    addKeys(fd, options.keys);
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ fd }, resolve);
  await promise;
  server.off("error", reject);
}

/**
 * The index of a device or VRF of this network namespace, as keys and sockets name it.
 * @throws LinuxTcpAoError `noSuchDevice`
 */
export function interfaceIndexOf(device: string): number {
  assertDeviceName(device, "find device");
  return libc().interfaceIndex(device);
}

/** SO_BINDTODEVICE. @throws LinuxTcpAoError `noSuchDevice`, `notPermitted` */
function bindToDevice(fd: number, device: string): void {
  const operation = "setsockopt SO_BINDTODEVICE";
  assertDeviceName(device, operation);
  libc().setsockopt(operation, fd, SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode(`${device}\0`));
}

/** The kernel would cut a longer name, or take an empty one for "no device". */
function assertDeviceName(device: string, operation: TcpAoOperation): void {
  const { length } = new TextEncoder().encode(device);
  if (length > 0 && length < DEVICE_NAME_BYTES && !device.includes("\0")) return;
  const advice = `a device has a name of 1 to ${DEVICE_NAME_BYTES - 1} octets, not ${length}`;
  throw new LinuxTcpAoError(operation, { code: "noSuchDevice", advice });
}

function int(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

/** All keys or none. */
export function addKeys(fd: number, keys: readonly KernelMkt[]): void {
  const added: KernelMkt[] = [];
  try {
    for (const key of keys) {
      addKey(fd, key);
      added.push(key);
    }
  } catch (error) {
    for (const key of added) deleteKey(fd, key);
    throw error;
  }
}
