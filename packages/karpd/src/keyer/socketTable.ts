// The sockets of the configured ports as the kernel lists them, and who has them open.
import { codeOf, type Kernel, type KernelSocket, type OpenSocket, type SocketHolder } from "./kernel.ts";

/** Nobody can be asked for the socket just now: it is gone, or not accepted yet. */
export const GONE = Symbol("gone");

export class SocketTable {
  readonly #kernel: Kernel;
  #sockets: readonly KernelSocket[] = [];
  /** By cookie, as long as the socket lives. */
  readonly #holders = new Map<bigint, SocketHolder>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  get sockets(): readonly KernelSocket[] {
    return this.#sockets;
  }

  /** Lists anew. */
  refresh(ports: ReadonlySet<number>, withMd5Peers = false): void {
    const byCookie = new Map<bigint, KernelSocket>();
    for (const port of ports) {
      for (const socket of this.#kernel.list(port, withMd5Peers)) byCookie.set(socket.cookie, socket);
    }
    this.#sockets = [...byCookie.values()];
    for (const cookie of this.#holders.keys()) if (!byCookie.has(cookie)) this.#holders.delete(cookie);
  }

  /** Finds who has these sockets open; one walk through all processes, and none for those that are known. */
  findHolders(sockets: readonly KernelSocket[]): void {
    const unknown = sockets.filter(({ cookie, inode }) => inode !== 0 && !this.#holders.has(cookie));
    if (unknown.length === 0) return;
    const found = this.#kernel.holders(new Set(unknown.map(({ inode }) => inode)));
    for (const { cookie, inode } of unknown) {
      const holder = found.get(inode)?.[0];
      if (holder !== undefined) this.#holders.set(cookie, holder);
    }
  }

  holderOf({ cookie }: KernelSocket): SocketHolder | undefined {
    return this.#holders.get(cookie);
  }

  /**
   * Runs `use` on a duplicate of the socket.
   * @throws LinuxTcpAoError for what the kernel does not permit
   */
  borrow<T>(socket: KernelSocket, use: (open: OpenSocket) => T): T | typeof GONE {
    this.findHolders([socket]);
    const holder = this.#holders.get(socket.cookie);
    if (holder === undefined) return GONE;
    try {
      return this.#kernel.borrow(holder, socket, use);
    } catch (error) {
      if (!GONE_CODES.has(codeOf(error) ?? "")) throw error;
      this.#holders.delete(socket.cookie);
      return GONE;
    }
  }

  destroy(socket: KernelSocket): void {
    try {
      this.#kernel.destroy(socket);
    } catch (error) {
      if (codeOf(error) !== "socketGone") throw error;
    }
  }
}

const GONE_CODES: ReadonlySet<string> = new Set(["processGone", "badDescriptor", "socketChanged"]);
