import { createServer, type Server, type Socket } from "node:net";
import type { KernelMkt } from "@karp/tcp-ao/linux";
import type { DriverKey } from "../../ports/routingDriver.ts";

/** By what the kernel and we name a key of one peer. */
export interface KeyIds {
  readonly sendId: number;
  readonly recvId: number;
}

/** A key as a socket has it. */
export interface SocketKey extends KeyIds {
  readonly isCurrent: boolean;
  readonly isRnext: boolean;
  /** Segments that verified with it on this socket. */
  readonly good: number;
}

export interface SocketInfo {
  /** SendID of current_key. */
  readonly currentSendId?: number;
  /** RecvID of rnext_key. */
  readonly rnextRecvId?: number;
  readonly good: number;
  /** Segments with a wrong MAC, without a key for their KeyID, or without TCP-AO. */
  readonly rejected: number;
}

/**
 * A TCP socket with keys for the peer. What fails throws an Error with a `code` of `LinuxTcpAoError`; `badDescriptor`
 * means that the socket is closed.
 */
export interface KernelSocket {
  addKey(key: DriverKey): void;
  /** `keyInUse` for current_key and rnext_key, unless `successor` takes their place. */
  deleteKey(key: KeyIds, successor?: KeyIds): void;
  /** Sets rnext_key, and nothing else. */
  askFor(key: KeyIds): void;
  keys(): readonly SocketKey[];
}

export interface KernelListener extends KernelSocket {
  close(): void;
}

export interface KernelConnection extends KernelSocket {
  info(): SocketInfo;
  send(octets: Uint8Array): void;
  /** From then on: what comes, and the end, once. */
  start(handlers: { readonly data: (octets: Uint8Array) => void; readonly end: (reason: string) => void }): void;
  /** `octets`, then FIN. */
  finish(octets: Uint8Array): void;
  /** `octets` if they can leave now, then RST: nothing is left behind. */
  reset(octets?: Uint8Array): void;
}

/** TCP port and the addresses of both ends. */
export interface KernelAddressing {
  readonly local: string;
  readonly remote: string;
  /** Where the listening end listens. */
  readonly port: number;
}

/** The kernel's TCP with TCP-AO: sockets have their keys before the first SYN. */
export interface KernelSockets {
  listen(
    at: KernelAddressing,
    keys: readonly DriverKey[],
    onConnection: (connection: KernelConnection) => void,
  ): Promise<KernelListener>;
  /** The SYN is signed with `first`, and asks for it. */
  connect(
    to: KernelAddressing,
    keys: readonly DriverKey[],
    first: DriverKey,
    signal: AbortSignal,
  ): Promise<KernelConnection>;
}

type Linux = typeof import("@karp/tcp-ao/linux");

/** Loads no native code before it is used. */
export const linuxSockets: KernelSockets = {
  async listen(at, keys, onConnection) {
    const linux = await import("@karp/tcp-ao/linux");
    const server = createServer({ noDelay: true }, (socket) => {
      const connection = new LinuxConnection(linux, socket, at.remote);
      // What came before `isRequired`, from an address without a key, has none
      if (connection.keys().length > 0) onConnection(connection);
      else connection.reset();
    });
    await withMkts(keys, at.remote, (mkts) => linux.listenTcpAo(server, { host: at.local, port: at.port, keys: mkts }));
    server.on("error", () => {}); // of one accept(): the next may succeed
    // The listener is ours alone: it may refuse whoever has no key at all
    linux.updateInfo(linux.fdOf(server), { isRequired: true });
    return new LinuxListener(linux, server, at.remote);
  },
  async connect(to, keys, first, signal) {
    const linux = await import("@karp/tcp-ao/linux");
    const socket = await withMkts(keys, to.remote, (mkts) => {
      const marked = mkts.map((mkt, index) => {
        const isFirst = keys[index] === first;
        return { ...mkt, setsCurrent: isFirst, setsRnext: isFirst };
      });
      return linux.connectTcpAo({ host: to.remote, port: to.port, localAddress: to.local, keys: marked, signal });
    });
    socket.setNoDelay(true);
    return new LinuxConnection(linux, socket, to.remote);
  },
};

/** Copies of the keys as the kernel wants them, for as long as `use` takes. */
async function withMkts<T>(
  keys: readonly DriverKey[],
  peer: string,
  use: (mkts: readonly KernelMkt[]) => Promise<T>,
): Promise<T> {
  const mkts = keys.map((key) => key.masterKey.expose((octets) => mktOf(key, peer, Uint8Array.from(octets))));
  try {
    return await use(mkts);
  } finally {
    for (const { masterKey } of mkts) masterKey.fill(0);
  }
}

function mktOf({ sendId, recvId, algorithm, coversTcpOptions }: DriverKey, peer: string, masterKey: Uint8Array) {
  return { peer, sendId, recvId, algorithm, coversTcpOptions, masterKey };
}

class LinuxSocket<T extends Socket | Server> implements KernelSocket {
  protected readonly linux: Linux;
  protected readonly socket: T;
  readonly #peer: string;

  constructor(linux: Linux, socket: T, peer: string) {
    this.linux = linux;
    this.socket = socket;
    this.#peer = peer;
  }

  protected get fd(): number {
    return this.linux.fdOf(this.socket);
  }

  addKey(key: DriverKey): void {
    key.masterKey.expose((octets) => this.linux.addKey(this.fd, mktOf(key, this.#peer, octets)));
  }

  deleteKey({ sendId, recvId }: KeyIds, successor?: KeyIds): void {
    const replacement = successor && { newCurrent: successor.sendId, newRnext: successor.recvId };
    this.linux.deleteKey(this.fd, { peer: this.#peer, sendId, recvId, ...replacement });
  }

  askFor({ recvId }: KeyIds): void {
    this.linux.updateInfo(this.fd, { rnextKey: recvId });
  }

  keys(): readonly SocketKey[] {
    try {
      return this.linux.listKeys(this.fd).map(({ good, ...key }) => ({ ...key, good: Number(good) }));
    } catch (error) {
      if (error instanceof this.linux.LinuxTcpAoError && error.code === "socketHasNoTcpAo") return [];
      throw error;
    }
  }
}

class LinuxListener extends LinuxSocket<Server> implements KernelListener {
  close(): void {
    this.socket.close();
  }
}

class LinuxConnection extends LinuxSocket<Socket> implements KernelConnection {
  #reason = "closed by the peer";

  constructor(linux: Linux, socket: Socket, peer: string) {
    super(linux, socket, peer);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#reason = error.code ?? "failed";
    });
  }

  info(): SocketInfo {
    const { currentKey, rnextKey, counters } = this.linux.readInfo(this.fd);
    return {
      ...(currentKey !== undefined && { currentSendId: currentKey }),
      ...(rnextKey !== undefined && { rnextRecvId: rnextKey }),
      good: Number(counters.good),
      rejected: Number(counters.bad + counters.keyNotFound + counters.required),
    };
  }

  send(octets: Uint8Array): void {
    if (this.socket.writable) this.socket.write(octets);
  }

  start(handlers: { readonly data: (octets: Uint8Array) => void; readonly end: (reason: string) => void }): void {
    // Without `allowHalfOpen` a FIN of the peer ends the socket by itself
    this.socket.on("data", handlers.data).once("close", () => handlers.end(this.#reason));
    if (this.socket.destroyed) queueMicrotask(() => handlers.end(this.#reason));
  }

  finish(octets: Uint8Array): void {
    this.send(octets);
    this.socket.destroySoon();
  }

  reset(octets?: Uint8Array): void {
    if (octets !== undefined) this.send(octets);
    this.socket.resetAndDestroy();
  }
}
