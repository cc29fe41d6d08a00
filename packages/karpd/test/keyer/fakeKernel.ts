// A kernel with TCP sockets of made-up processes, which refuses what Linux refuses.

import { Secret } from "@karp/ikev2";
import { LinuxTcpAoError, type LinuxTcpAoErrorCode } from "@karp/tcp-ao/linux";
import { nodeTcpAoCrypto } from "@karp/tcp-ao/node";
import { fingerprintOfOctets } from "../../src/keyer/keptKey.ts";
import type {
  DescribedSocket,
  HeldKey,
  Kernel,
  KernelMkt,
  KernelSocket,
  KernelTcpAo,
  OpenSocket,
} from "../../src/keyer/kernel.ts";
import type { DriverKey } from "../../src/ports/routingDriver.ts";

export const LOCAL = "10.0.0.1";
export const REMOTE = "10.0.0.2";

export class FakeSocket {
  readonly socket: KernelSocket;
  keys: Mutable<HeldKey>[] = [];
  /** Octets by "SendID/RecvID", in hex. */
  readonly octets = new Map<string, string>();
  isSigned: boolean;
  isDestroyed = false;
  md5Peer: string | undefined;

  constructor(socket: Partial<KernelSocket> & Pick<KernelSocket, "cookie" | "state">, isSigned = true) {
    const isListener = socket.state === "listen";
    this.socket = {
      domain: "ipv4",
      localAddress: isListener ? "0.0.0.0" : LOCAL,
      localPort: 179,
      remoteAddress: isListener ? "0.0.0.0" : REMOTE,
      remotePort: isListener ? 0 : 40_000,
      interfaceIndex: 0,
      inode: Number(socket.cookie) + 1000,
      uid: 0,
      ...socket,
    };
    this.isSigned = isListener || isSigned;
  }

  get ids(): readonly string[] {
    return this.keys.map(({ sendId, recvId }) => `${sendId}/${recvId}`);
  }

  use(sendId: number): void {
    for (const key of this.keys) key.isCurrent = key.sendId === sendId;
  }

  get current(): number | undefined {
    return this.keys.find(({ isCurrent }) => isCurrent)?.sendId;
  }

  get rnext(): number | undefined {
    return this.keys.find(({ isRnext }) => isRnext)?.recvId;
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class FakeKernel implements Kernel {
  sockets: FakeSocket[] = [];
  /** Every setsockopt, in order. */
  readonly calls: string[] = [];
  /** Of the sockets that are asked for by descriptor; 262: Multipath TCP. */
  protocol = 6;
  /** Algorithms that it lacks. */
  lacks = new Set<string>();
  refusesToAsk = false;
  /** What adding a key fails with, as Linux would. */
  refusesToAdd: LinuxTcpAoError | undefined;
  refusesToDelete: LinuxTcpAoError | undefined;
  /** What a socket of the keyer's own fails with. */
  refusesToOpen: LinuxTcpAoError | undefined;
  refusesToRead: LinuxTcpAoError | undefined;
  walks = 0;

  probe(): KernelTcpAo {
    const refused = this.refusesToOpen;
    if (refused !== undefined) return { supported: false, algorithms: [], code: refused.code, reason: refused.message };
    return { supported: true, algorithms: ["aes-128-cmac-96", "hmac-sha-1-96"] };
  }

  list(port: number, withMd5Peers = false): readonly KernelSocket[] {
    const alive = this.sockets
      .filter(({ isDestroyed }) => !isDestroyed)
      .map(({ socket: { md5Peers, ...socket } }) => (withMd5Peers && md5Peers ? { ...socket, md5Peers } : socket));
    return alive.filter(({ localPort, remotePort }) => localPort === port || remotePort === port);
  }

  holders(inodes: ReadonlySet<number>) {
    this.walks++;
    return new Map([...inodes].map((inode) => [inode, [{ pid: 7, fd: inode }]] as const));
  }

  destroy({ cookie }: KernelSocket): void {
    this.calls.push(`destroy ${cookie}`);
    this.#by(cookie).isDestroyed = true;
  }

  borrow<T>(_holder: unknown, { cookie }: KernelSocket, use: (open: OpenSocket) => T): T {
    return use(this.#open(this.#by(cookie)));
  }

  borrowDescriptor<T>(holder: { fd: number }, use: (open: OpenSocket, described: DescribedSocket) => T): T {
    const found = this.sockets.find(({ socket }) => socket.inode === holder.fd);
    if (found === undefined) throw refusal("badDescriptor");
    const { cookie, domain, localAddress, interfaceIndex } = found.socket;
    return use(this.#open(found), {
      cookie,
      domain,
      type: "stream",
      protocol: this.protocol,
      localAddress,
      interfaceIndex,
    });
  }

  #by(cookie: bigint): FakeSocket {
    const found = this.sockets.find(({ socket, isDestroyed }) => socket.cookie === cookie && !isDestroyed);
    if (found === undefined) throw refusal("socketChanged");
    return found;
  }

  #open(fake: FakeSocket): OpenSocket {
    const { cookie, state } = fake.socket;
    return {
      keys: () => fake.keys,
      isSigned: () => {
        if (this.refusesToRead !== undefined) throw this.refusesToRead;
        return fake.isSigned;
      },
      add: (key) => {
        this.calls.push(`add ${cookie} ${key.sendId}/${key.recvId}`);
        if (this.refusesToAdd !== undefined) throw this.refusesToAdd;
        if (this.lacks.has(key.algorithm)) throw refusal("algorithmUnknown");
        if (fake.md5Peer === key.peer) throw refusal("md5Conflict");
        if (!fake.isSigned) throw refusal("connectionNotAuthenticated");
        const isSamePlace = (one: HeldKey): boolean => one.ifindex === key.ifindex;
        if (fake.keys.some((one) => isSamePlace(one) && (one.sendId === key.sendId || one.recvId === key.recvId)))
          throw refusal("keyExists");
        fake.keys.push(statusOf(key));
        fake.octets.set(`${key.sendId}/${key.recvId}`, Buffer.from(key.masterKey).toString("hex"));
      },
      delete: (key) => {
        this.calls.push(`delete ${cookie} ${key.sendId}/${key.recvId}`);
        if (this.refusesToDelete !== undefined) throw this.refusesToDelete;
        const found = fake.keys.find(
          (one) => one.ifindex === key.ifindex && one.sendId === key.sendId && one.recvId === key.recvId,
        );
        if (found === undefined) throw refusal("keyNotFound");
        if (found.isCurrent || found.isRnext) throw refusal("keyInUse");
        fake.keys = fake.keys.filter((one) => one !== found);
      },
      askFor: (recvId, sendId) => {
        this.calls.push(`ask ${cookie} ${recvId}`);
        if (state === "listen") throw refusal("invalidArgument");
        if (this.refusesToAsk) throw refusal("keyNotFound");
        for (const key of fake.keys) key.isRnext = key.recvId === recvId;
        if (sendId !== undefined) fake.use(sendId);
      },
    };
  }
}

/** As the kernel has a key that it was given. */
export function statusOf(key: KernelMkt): Mutable<HeldKey> {
  const { peer, ifindex, sendId, recvId, algorithm, coversTcpOptions = true } = key;
  const place = { peer, ...(ifindex !== undefined && { ifindex }) };
  const numbers = { prefixLength: 32, macLengthBytes: 12, keyLengthBytes: key.masterKey.length, good: 0n, bad: 0n };
  const flags = { coversTcpOptions, isCurrent: false, isRnext: false };
  const fingerprint = fingerprintOfOctets(keptOctets(key));
  return { ...place, sendId, recvId, algorithm, algorithmName: algorithm, fingerprint, ...numbers, ...flags };
}

/** What Linux makes of a key for AES-128-CMAC that has not 16 octets: AES-CMAC(0^128, key), RFC 4615 section 3. */
function keptOctets({ algorithm, masterKey }: KernelMkt): Uint8Array {
  if (algorithm !== "aes-128-cmac-96" || masterKey.length === 16) return masterKey;
  return nodeTcpAoCrypto.aesCmac(new Uint8Array(16), masterKey);
}

function refusal(code: LinuxTcpAoErrorCode): LinuxTcpAoError {
  return new LinuxTcpAoError("TCP_AO_ADD_KEY", { code, advice: `made up: ${code}` }, "EMADEUP");
}

export function key(id: number, use: DriverKey["use"] = "accept", octet = id): DriverKey {
  return {
    adminKeyName: `r2/${String(id).padStart(16, "0")}`,
    sendId: id,
    recvId: id,
    algorithm: "aes-128-cmac-96",
    coversTcpOptions: true,
    masterKey: new Secret(new Uint8Array(16).fill(octet)),
    use,
  };
}
