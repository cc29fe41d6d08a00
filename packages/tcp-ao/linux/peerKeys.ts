import type { Server, Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { formatAddress, parseAddress } from "../src/index.ts";
import { LinuxTcpAoError } from "./errors.ts";
import { isV4Mapped } from "./sockaddr.ts";
import { addKeys, type ConnectTcpAoOptions, connectTcpAo, fdOf } from "./sockets.ts";
import type { KernelKeyName, KernelKeyStatus, KernelMkt, KernelTcpAoInfo } from "./structs.ts";
import { addKey, deleteKey, listKeys, readInfo, updateInfo } from "./tcpAo.ts";

/** Whose keys: those of one remote address (or prefix), in one VRF where `ifindex` is given. */
export type PeerName = Pick<KernelKeyName, "peer" | "prefixLength" | "ifindex">;

/** A key of that peer. */
export type PeerKey = Pick<
  KernelMkt,
  "sendId" | "recvId" | "algorithm" | "masterKey" | "coversTcpOptions" | "macLengthBytes"
>;

/** A connection's keys as the kernel has them now. */
export interface TcpAoObservation extends KernelTcpAoInfo {
  /** Never with key material. */
  readonly keys: readonly KernelKeyStatus[];
}

export interface RotateOptions {
  /** Gives up waiting; both keys stay. */
  readonly signal?: AbortSignal;
  /** How often the kernel is asked, in milliseconds. Default: 100. */
  readonly pollMilliseconds?: number;
}

/**
 * What the kernel knows about TCP-AO on this connection or listener.
 * @throws LinuxTcpAoError `socketHasNoTcpAo`
 */
export function observeTcpAo(socket: Socket | Server): TcpAoObservation {
  const fd = fdOf(socket);
  return { ...readInfo(fd), keys: listKeys(fd) };
}

/**
 * The keys of one peer on all sockets of a program that speak with it: its listeners, and connections that come and
 * go, several at a time where sessions share two hosts. Linux finds keys by address, never by port, so all of them
 * have the same ones.
 *
 * A rollover is {@link add} at both ends, then {@link rotate} at both ends; no segment is lost. It moves only while
 * segments do: keepalives of the routing protocol are enough.
 *
 * Keeps copies of the master keys for sockets yet to come, and erases each when it is removed.
 */
export class PeerKeys {
  /** With the address as the kernel writes it. */
  readonly name: PeerName;
  readonly #keys = new Map<number, PeerKey>();
  readonly #listeners = new Set<Server>();
  /** Each connection with its good segments of the preferred key when that became so. */
  readonly #connections = new Map<Socket, bigint>();
  #preferred: number | undefined;

  constructor(name: PeerName) {
    this.name = { ...name, peer: asKernelWrites(name.peer) };
  }

  /** RecvIDs of the keys that are there. */
  get recvIds(): readonly number[] {
    return [...this.#keys.keys()];
  }

  /** RecvID of the key that new connections start with: the first one added, until {@link prefer}. */
  get preferred(): number | undefined {
    return this.#preferred;
  }

  get connections(): readonly Socket[] {
    return [...this.#connections.keys()].filter((socket) => !socket.destroyed);
  }

  /**
   * Gives a listening server the keys, now and from now on, until it closes. Unsigned segments of this peer are
   * refused as soon as it has one.
   * @throws LinuxTcpAoError as addKey; then the server has none of them
   */
  protect(server: Server): void {
    addKeys(fdOf(server), this.#mkts());
    this.#listeners.add(server);
    server.once("close", () => this.#listeners.delete(server));
  }

  /**
   * Takes in a connection that a protected server accepted from this peer: it inherited the keys which that had when
   * the connection was opened, and gets those that came since.
   * @throws LinuxTcpAoError `connectionNotAuthenticated` when it was opened without TCP-AO: then end it
   */
  accept(socket: Socket): void {
    const fd = fdOf(socket);
    const inherited = keysOf(fd);
    for (const mkt of this.#mkts()) {
      if (!inherited.some((key) => this.#isOurs(key, mkt))) addKey(fd, mkt);
    }
    this.#askForPreferred(fd);
    this.#deleteRemoved(fd);
    this.#connections.set(socket, 0n);
    socket.once("close", () => this.#connections.delete(socket));
  }

  /** {@link connectTcpAo} with these keys: the SYN is signed with the preferred one. */
  async connect(options: Omit<ConnectTcpAoOptions, "keys">): Promise<Socket> {
    const socket = await connectTcpAo({ ...options, keys: this.#mkts({ isForConnect: true }) });
    try {
      // Keys may have come and gone while it connected
      this.accept(socket);
      return socket;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /**
   * Adds a key on all sockets, or on none. It is accepted from now on, and not yet used.
   * @throws LinuxTcpAoError, mostly `keyExists`
   */
  add(key: PeerKey): void {
    if (this.#keys.has(key.recvId)) throw unknownOrTaken("keyExists", key.recvId);
    const own = { ...key, masterKey: key.masterKey.slice() };
    const mkt = { ...own, ...this.name };
    const done: number[] = [];
    try {
      for (const fd of this.#descriptors()) {
        addKey(fd, mkt);
        done.push(fd);
      }
    } catch (error) {
      for (const fd of done) deleteKey(fd, mkt);
      own.masterKey.fill(0);
      throw error;
    }
    this.#keys.set(key.recvId, own);
    this.#preferred ??= key.recvId;
  }

  /**
   * Asks the peer, on all connections, to send with this key (rnext_key); new connections start with it. The peer must
   * have it already.
   * @throws LinuxTcpAoError `keyNotFound`
   */
  prefer(recvId: number): void {
    if (!this.#keys.has(recvId)) throw unknownOrTaken("keyNotFound", recvId);
    this.#preferred = recvId;
    for (const socket of this.connections) {
      this.#askForPreferred(fdOf(socket));
      this.#connections.set(socket, goodOf(fdOf(socket), recvId));
    }
  }

  /** Whether on all connections both directions use the preferred key; true when there is none. */
  isSettled(): boolean {
    const key = this.#preferred === undefined ? undefined : this.#keys.get(this.#preferred);
    if (key === undefined) return this.#keys.size === 0;
    return this.connections.every((socket) => {
      const fd = fdOf(socket);
      const goodBefore = this.#connections.get(socket) ?? 0n;
      return readInfo(fd).currentKey === key.sendId && goodOf(fd, key.recvId) > goodBefore;
    });
  }

  /**
   * Prefers a key, waits until both ends use it on all connections, and removes the others.
   * @throws LinuxTcpAoError `keyNotFound`; the signal's reason: nothing was removed, and the key stays preferred
   */
  async rotate(recvId: number, options: RotateOptions = {}): Promise<void> {
    const { signal, pollMilliseconds = 100 } = options;
    const others = this.recvIds.filter((id) => id !== recvId);
    this.prefer(recvId);
    while (!this.isSettled()) await pause(pollMilliseconds, undefined, { signal });
    for (const id of others) if (this.#keys.has(id)) this.remove(id);
    for (const socket of this.connections) this.#deleteRemoved(fdOf(socket));
  }

  /**
   * Removes a key from all sockets and erases our copy.
   * @throws LinuxTcpAoError `keyInUse` when a connection sends with it or asks for it: then it stays everywhere
   */
  remove(recvId: number): void {
    const key = this.#keys.get(recvId);
    if (key === undefined) throw unknownOrTaken("keyNotFound", recvId);
    const name = { ...this.name, sendId: key.sendId, recvId };
    const descriptors = this.#descriptors();
    const held = descriptors.map((fd) => keysOf(fd).find((candidate) => this.#isOurs(candidate, name)));
    if (held.some((status) => status?.isCurrent === true || status?.isRnext === true)) {
      const advice = "a connection still uses the key; rotate to another, and wait until the peer has moved on";
      throw new LinuxTcpAoError("TCP_AO_DEL_KEY", { code: "keyInUse", advice });
    }
    for (const [index, fd] of descriptors.entries()) if (held[index] !== undefined) deleteKey(fd, name);
    key.masterKey.fill(0);
    this.#keys.delete(recvId);
    if (this.#preferred === recvId) this.#preferred = this.recvIds.at(0);
  }

  /** One observation for each connection. */
  observe(): ReadonlyMap<Socket, TcpAoObservation> {
    return new Map(this.connections.map((socket) => [socket, observeTcpAo(socket)]));
  }

  #mkts({ isForConnect = false } = {}): readonly KernelMkt[] {
    return [...this.#keys.values()].map((key) => {
      const isFirst = isForConnect && key.recvId === this.#preferred;
      return { ...key, ...this.name, ...(isFirst && { setsCurrent: true, setsRnext: true }) };
    });
  }

  #descriptors(): readonly number[] {
    return [...[...this.#listeners].filter(({ listening }) => listening), ...this.connections].map(fdOf);
  }

  /** A connection may have inherited what was removed while it was being opened. What is in use stays. */
  #deleteRemoved(fd: number): void {
    for (const key of keysOf(fd)) {
      if (!this.#keys.has(key.recvId) && !key.isCurrent && !key.isRnext) deleteKey(fd, key);
    }
  }

  /** Listeners have keys of other peers too, with the same IDs. */
  #isOurs(key: KernelKeyStatus, { sendId, recvId }: Pick<KernelKeyName, "sendId" | "recvId">): boolean {
    const { peer, prefixLength = parseAddress(peer).length * 8, ifindex } = this.name;
    const isPeer = key.peer === peer && key.prefixLength === prefixLength && key.ifindex === ifindex;
    return isPeer && key.sendId === sendId && key.recvId === recvId;
  }

  #askForPreferred(fd: number): void {
    if (this.#preferred === undefined || readInfo(fd).rnextKey === this.#preferred) return;
    updateInfo(fd, { rnextKey: this.#preferred });
  }
}

function unknownOrTaken(code: "keyExists" | "keyNotFound", recvId: number): LinuxTcpAoError {
  const isTaken = code === "keyExists";
  const advice = isTaken
    ? `the peer has a key with RecvID ${recvId}; remove it first or take another ID`
    : `the peer has no key with RecvID ${recvId}; add it first`;
  return new LinuxTcpAoError(isTaken ? "TCP_AO_ADD_KEY" : "TCP_AO_INFO set", { code, advice });
}

/** Accepted segments of the key; zero when the socket does not have it. */
function goodOf(fd: number, recvId: number): bigint {
  return keysOf(fd).find((key) => key.recvId === recvId)?.good ?? 0n;
}

function keysOf(fd: number): readonly KernelKeyStatus[] {
  try {
    return listKeys(fd);
  } catch (error) {
    if (error instanceof LinuxTcpAoError && error.code === "socketHasNoTcpAo") return [];
    throw error;
  }
}

function asKernelWrites(peer: string): string {
  const address = parseAddress(peer);
  return formatAddress(address.length === 16 && isV4Mapped(address) ? address.subarray(12) : address);
}
