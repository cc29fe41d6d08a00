// Drivers whose daemon is keyed from outside: driver, the keyer's own SocketKeyer, and a kernel in memory.
import {
  type KernelKeyDeletion,
  type KernelMkt,
  type KernelSocket,
  LinuxTcpAoError,
  type SocketHolder,
} from "@karp/tcp-ao/linux";
import type { MktAlgorithm } from "../../../src/core/keytable/row.ts";
import type { DriverContext } from "../../../src/drivers/context.ts";
import { fingerprintOfOctets } from "../../../src/keyer/keptKey.ts";
import type { HeldKey, Kernel, OpenSocket } from "../../../src/keyer/kernel.ts";
import { Ledger } from "../../../src/keyer/ledger.ts";
import { SocketKeyer } from "../../../src/keyer/socketKeyer.ts";
import type { RoutingDriver } from "../../../src/ports/routingDriver.ts";
import { context, folder, sessionOf } from "../support.ts";
import type { Kind } from "./subject.ts";

type Code = "algorithmUnknown" | "keyExists" | "keyInUse" | "keyNotFound" | "badDescriptor";

function refusal(code: Code): LinuxTcpAoError {
  return new LinuxTcpAoError("TCP_AO_ADD_KEY", { code, advice: `as the kernel does: ${code}` }, "EINVAL");
}

/** A socket's keys, with the kernel's rules for them. */
class Keys implements OpenSocket {
  readonly all: HeldKey[] = [];
  readonly kernel: KeyedKernel;
  readonly isConnection: boolean;

  constructor(kernel: KeyedKernel, isConnection: boolean) {
    this.kernel = kernel;
    this.isConnection = isConnection;
  }

  keys(): readonly HeldKey[] {
    return [...this.all];
  }

  isSigned(): boolean {
    return this.all.length > 0;
  }

  add(key: KernelMkt): void {
    if (!this.kernel.algorithms.has(key.algorithm)) throw refusal("algorithmUnknown");
    const { peer, sendId, recvId, algorithm } = key;
    if (this.all.some((one) => one.peer === peer && (one.sendId === sendId || one.recvId === recvId)))
      throw refusal("keyExists");
    this.kernel.writes++;
    this.all.push({
      peer,
      prefixLength: key.prefixLength ?? 32,
      sendId,
      recvId,
      algorithm,
      algorithmName: algorithm,
      // Keys of 16 octets or more for HMAC: the kernel keeps them as they are
      fingerprint: fingerprintOfOctets(key.masterKey),
      macLengthBytes: 12,
      keyLengthBytes: key.masterKey.length,
      coversTcpOptions: key.coversTcpOptions ?? true,
      isCurrent: false,
      isRnext: false,
      good: 0n,
      bad: 0n,
    });
  }

  delete({ peer, sendId, recvId }: KernelKeyDeletion): void {
    const at = this.all.findIndex((one) => one.peer === peer && one.sendId === sendId && one.recvId === recvId);
    const found = this.all[at];
    if (found === undefined) throw refusal("keyNotFound");
    if (found.isCurrent || found.isRnext) throw refusal("keyInUse");
    this.kernel.writes++;
    this.all.splice(at, 1);
  }

  askFor(recvId: number, sendId?: number): void {
    this.kernel.writes++;
    if (sendId !== undefined) this.mark("isCurrent", (one) => one.sendId === sendId);
    this.mark("isRnext", (one) => one.recvId === recvId);
  }

  mark(flag: "isCurrent" | "isRnext", isIt: (one: HeldKey) => boolean): void {
    if (!this.all.some(isIt)) throw refusal("keyNotFound");
    for (const [at, one] of this.all.entries()) this.all[at] = { ...one, [flag]: isIt(one) };
  }
}

/** One daemon that listens on port 179, and at most one connection of it. */
class KeyedKernel implements Kernel {
  readonly algorithms = new Set<MktAlgorithm>(["aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha-256-128"]);
  writes = 0;
  isRunning = true;
  listener = new Keys(this, false);
  connection: Keys | undefined;

  probe(): ReturnType<Kernel["probe"]> {
    return { supported: true, algorithms: [...this.algorithms] };
  }

  list(port: number): readonly KernelSocket[] {
    if (!this.isRunning || port !== 179) return [];
    const common = { domain: "ipv4", localPort: 179, interfaceIndex: 0, uid: 0 } as const;
    const listener = {
      ...common,
      state: "listen",
      localAddress: "0.0.0.0",
      remoteAddress: "0.0.0.0",
      remotePort: 0,
    } as const;
    const connected = { ...common, state: "established", localAddress: "10.0.0.1", remoteAddress: "10.0.0.2" } as const;
    return [
      { ...listener, inode: 1, cookie: 1n },
      ...(this.connection === undefined ? [] : [{ ...connected, remotePort: 40_000, inode: 2, cookie: 2n }]),
    ];
  }

  holders(inodes: ReadonlySet<number>): ReadonlyMap<number, readonly SocketHolder[]> {
    return new Map([...inodes].map((inode) => [inode, [{ pid: 7, fd: inode }]]));
  }

  destroy(): void {
    this.writes++;
    this.connection = undefined;
  }

  borrow<T>(_holder: SocketHolder, socket: KernelSocket, use: (open: OpenSocket) => T): T {
    const found = socket.state === "listen" ? this.listener : this.connection;
    if (!this.isRunning || found === undefined) throw refusal("badDescriptor");
    return use(found);
  }

  borrowDescriptor(): never {
    throw refusal("badDescriptor");
  }

  /** The peer connects: the connection inherits the listener's keys for it. */
  accept(sendId: number): Keys {
    const made = new Keys(this, true);
    made.all.push(...this.listener.all);
    made.mark("isCurrent", (one) => one.sendId === sendId);
    made.mark("isRnext", (one) => one.sendId === sendId);
    this.connection = made;
    return made;
  }

  /** The process ends, and its sockets with it. */
  stop(): void {
    this.isRunning = false;
    this.listener = new Keys(this, false);
    this.connection = undefined;
  }
}

/** A kind whose keys go through the keyer. `words`: its own, that keep it from asking a daemon of this machine. */
export function keyedKind(
  name: string,
  create: (context: DriverContext) => RoutingDriver,
  words: Readonly<Record<string, unknown>> = {},
): Kind {
  return {
    impossible: {
      crashNextApply: "setting a key on a socket is all there is to do",
      withBrokenSettings: "who keys is the keyer, and it reads the configuration by itself",
    },
    async make(t) {
      const kernel = new KeyedKernel();
      const session = sessionOf(name, words);
      const ledger = `${folder(t)}/ledger.json`;
      const ctx = context();
      const keyer = () =>
        new SocketKeyer({
          sessions: [session],
          ledger: new Ledger(ledger, (text) => ctx.lines.push(text)),
          indexOf: () => undefined,
          log: ctx.log,
          kernel,
        });
      const withKeyer = (): RoutingDriver => {
        const own = keyer();
        return create({ ...ctx, keyer: async () => own });
      };
      return {
        driver: withKeyer(),
        session,
        installed: async () => kernel.listener.all.map(({ sendId }) => sendId),
        restarted: withKeyer,
        logged: ctx.lines,
        putForeign: async () => {
          const masterKey = new Uint8Array(16).fill(9);
          kernel.listener.add({ peer: "10.0.0.2", sendId: 2, recvId: 99, algorithm: "hmac-sha-1-96", masterKey });
          const isUntouched = async (): Promise<boolean> =>
            kernel.listener.all.some(({ sendId, recvId }) => sendId === 2 && recvId === 99);
          return { isUntouched };
        },
        stopDaemon: async () => {
          kernel.stop();
          return async () => {
            kernel.isRunning = true;
          };
        },
        peerAsksFor: async (sendId) => {
          const connection = kernel.connection ?? kernel.accept(sendId);
          connection.mark("isCurrent", (one) => one.sendId === sendId);
        },
        loseKeys: async () => {
          kernel.listener.all.length = 0;
        },
        forgetAlgorithm: (algorithm) => kernel.algorithms.delete(algorithm),
        written: async () => kernel.writes,
      };
    },
  };
}
