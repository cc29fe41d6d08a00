import {
  addKey,
  closeSocket,
  type DescribedSocket,
  deleteKey,
  describeSocket,
  destroySocket,
  duplicateDescriptor,
  duplicateSocket,
  findSocketHolders,
  type KernelKeyDeletion,
  type KernelKeyStatus,
  type KernelMkt,
  type KernelSocket,
  type KernelTcpAo,
  LinuxTcpAoError,
  listTcpSockets,
  probeKernelTcpAo,
  readInfo,
  readKeys,
  type SocketHolder,
  updateInfo,
} from "@karp/tcp-ao/linux";
import { fingerprintOfOctets } from "./keptKey.ts";

export type { DescribedSocket, KernelKeyStatus, KernelMkt, KernelSocket, KernelTcpAo, SocketHolder };

/** The kernel as the keyer needs it. Every call is synchronous; tests give one of their own. */
export interface Kernel {
  probe(): KernelTcpAo;
  /** @param withMd5Peers also for whom they have TCP MD5 keys */
  list(port: number, withMd5Peers?: boolean): readonly KernelSocket[];
  holders(inodes: ReadonlySet<number>): ReadonlyMap<number, readonly SocketHolder[]>;
  destroy(socket: KernelSocket): void;
  /** Runs `use` on a duplicate of the socket, compared with `socket` before; the duplicate is closed at once. */
  borrow<T>(holder: SocketHolder, socket: KernelSocket, use: (open: OpenSocket) => T): T;
  /** The same for a descriptor of a process that asks for it. */
  borrowDescriptor<T>(holder: SocketHolder, use: (open: OpenSocket, described: DescribedSocket) => T): T;
}

/** A key as the kernel has it. */
export interface HeldKey extends KernelKeyStatus {
  /** Of the octets that the kernel keeps: what tells it from another key with the same IDs. */
  readonly fingerprint: string;
}

/** A duplicate of a socket of another process. */
export interface OpenSocket {
  /** Empty without TCP-AO. `peer`: only those for this address; a listener may have a thousand others. */
  keys(peer?: string): readonly HeldKey[];
  /** False on a connection that was opened without TCP-AO. */
  isSigned(): boolean;
  add(key: KernelMkt): void;
  delete(key: KernelKeyDeletion): void;
  /** Asks the peer for this key, and with `sendId` sends with that one too; flags of the socket stay as they are. */
  askFor(recvId: number, sendId?: number): void;
}

export const linuxKernel: Kernel = {
  probe: probeKernelTcpAo,
  list: (port, withMd5Peers = false) => listTcpSockets({ port, withMd5Peers }),
  holders: findSocketHolders,
  destroy: destroySocket,
  borrow: (holder, socket, use) => using(duplicateSocket(holder, socket), use),
  borrowDescriptor: ({ pid, fd }, use) =>
    using(duplicateDescriptor(pid, fd), (open, duplicate) => use(open, describeSocket(duplicate))),
};

/** A duplicate that stayed open would keep the port or the connection alive after the daemon has ended. */
function using<T>(fd: number, use: (open: OpenSocket, fd: number) => T): T {
  try {
    return use(openSocket(fd), fd);
  } finally {
    closeSocket(fd);
  }
}

function openSocket(fd: number): OpenSocket {
  return {
    keys: (peer) => withoutTcpAo(() => heldKeys(fd, peer), []),
    isSigned: () =>
      withoutTcpAo(() => {
        readInfo(fd);
        return true;
      }, false),
    add: (key) => addKey(fd, key),
    delete: (key) => deleteKey(fd, key),
    askFor: (recvId, sendId) =>
      updateInfo(fd, { rnextKey: recvId, ...(sendId !== undefined && { currentKey: sendId }) }),
  };
}

function heldKeys(fd: number, peer: string | undefined): readonly HeldKey[] {
  const held = readKeys(fd, (key, octets) =>
    peer === undefined || key.peer === peer ? { ...key, fingerprint: fingerprintOfOctets(octets) } : undefined,
  );
  return held.filter((key) => key !== undefined);
}

function withoutTcpAo<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (codeOf(error) === "socketHasNoTcpAo") return otherwise;
    throw error;
  }
}

/** The stable code of a refusal by the kernel; undefined for any other error. */
export function codeOf(error: unknown): LinuxTcpAoError["code"] | undefined {
  return error instanceof LinuxTcpAoError ? error.code : undefined;
}

/** The name of the error number, such as "EKEYREJECTED". */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof LinuxTcpAoError ? error.errno : undefined;
}
