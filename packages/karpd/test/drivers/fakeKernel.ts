import type {
  KernelAddressing,
  KernelConnection,
  KernelListener,
  KernelSocket,
  KernelSockets,
  KeyIds,
  SocketInfo,
  SocketKey,
} from "../../src/drivers/endpoint/kernelSockets.ts";
import type { DriverKey } from "../../src/ports/routingDriver.ts";

/** An error as the kernel's socket options throw it. */
export function refusal(code: string): Error {
  return Object.assign(new Error(`kernel says ${code}`), { code });
}

const sameIds = (a: KeyIds, b: KeyIds): boolean => a.sendId === b.sendId && a.recvId === b.recvId;

function sameOctets(a: DriverKey, b: DriverKey): boolean {
  return a.masterKey.expose((one) => b.masterKey.expose((other) => Buffer.from(one).equals(other)));
}

/** Does what Linux does with the keys of a socket: EEXIST, EBUSY, ENOENT, and no key names on a listener. */
class FakeSocket implements KernelSocket {
  installed: DriverKey[] = [];
  current: DriverKey | undefined;
  rnext: DriverKey | undefined;
  isClosed = false;
  readonly good = new Map<number, number>();
  readonly kernel: FakeKernel;

  constructor(kernel: FakeKernel) {
    this.kernel = kernel;
  }

  addKey(key: DriverKey): void {
    this.#assertOpen();
    if (!this.kernel.algorithms.has(key.algorithm)) throw refusal("algorithmUnknown");
    if (this.installed.some(({ sendId, recvId }) => sendId === key.sendId || recvId === key.recvId))
      throw refusal("keyExists");
    this.installed.push(key);
    this.kernel.calls.push(`add ${key.sendId}`);
  }

  deleteKey(ids: KeyIds, successor?: KeyIds): void {
    this.#assertOpen();
    const key = this.#find(ids);
    if (successor !== undefined) this.current = this.rnext = this.#find(successor);
    if (key === this.current || key === this.rnext) throw refusal("keyInUse");
    this.installed = this.installed.filter((other) => other !== key);
    this.kernel.calls.push(`delete ${key.sendId}`);
  }

  askFor(ids: KeyIds): void {
    this.#assertOpen();
    this.rnext = this.#find(ids);
    this.kernel.calls.push(`askFor ${ids.sendId}`);
  }

  keys(): readonly SocketKey[] {
    this.#assertOpen();
    return this.installed.map((key) => ({
      sendId: key.sendId,
      recvId: key.recvId,
      isCurrent: key === this.current,
      isRnext: key === this.rnext,
      good: this.good.get(key.recvId) ?? 0,
    }));
  }

  #find(ids: KeyIds): DriverKey {
    const key = this.installed.find((other) => sameIds(other, ids));
    if (key === undefined) throw refusal("keyNotFound");
    return key;
  }

  #assertOpen(): void {
    if (this.isClosed) throw refusal("badDescriptor");
  }
}

class FakeConnection extends FakeSocket implements KernelConnection {
  other: FakeConnection | undefined;
  rejected = 0;
  #handlers: Parameters<KernelConnection["start"]>[0] | undefined;
  #waiting: Uint8Array[] = [];

  info(): SocketInfo {
    if (this.isClosed) throw refusal("badDescriptor");
    const good = [...this.good.values()].reduce((sum, count) => sum + count, 0);
    return {
      ...(this.current && { currentSendId: this.current.sendId }),
      ...(this.rnext && { rnextRecvId: this.rnext.recvId }),
      good,
      rejected: this.rejected,
    };
  }

  start(handlers: Parameters<KernelConnection["start"]>[0]): void {
    this.#handlers = handlers;
    for (const octets of this.#waiting.splice(0)) handlers.data(octets);
  }

  /** A segment: verified by the KeyID alone, and its RNextKeyID moves current_key (RFC 5925 section 7.5). */
  send(octets: Uint8Array): void {
    const { other } = this;
    if (this.isClosed || other === undefined || other.isClosed || this.kernel.isCut) return;
    const [signed, asked] = [this.current, this.rnext];
    const mkt = other.installed.find(({ recvId }) => recvId === signed?.sendId);
    if (mkt === undefined || signed === undefined || !sameOctets(mkt, signed)) {
      other.rejected++;
      return;
    }
    other.good.set(mkt.recvId, (other.good.get(mkt.recvId) ?? 0) + 1);
    other.current = other.installed.find(({ sendId }) => sendId === asked?.recvId) ?? other.current;
    other.deliver(octets);
  }

  deliver(octets: Uint8Array): void {
    if (this.#handlers === undefined) this.#waiting.push(octets);
    else this.#handlers.data(octets);
  }

  finish(octets: Uint8Array): void {
    this.reset(octets);
  }

  reset(octets?: Uint8Array): void {
    if (this.isClosed) return;
    if (octets !== undefined) this.send(octets);
    this.close("ended here");
    if (!this.kernel.isCut) this.other?.close("ECONNRESET");
  }

  close(reason: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#handlers?.end(reason);
  }
}

class FakeListener extends FakeSocket implements KernelListener {
  readonly onConnection: (connection: KernelConnection) => void;

  constructor(kernel: FakeKernel, onConnection: (connection: KernelConnection) => void) {
    super(kernel);
    this.onConnection = onConnection;
  }

  close(): void {
    this.isClosed = true;
    this.kernel.listener = undefined;
  }
}

/** One network with one listening port. What was called is in `calls`. */
export class FakeKernel implements KernelSockets {
  algorithms = new Set(["aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha-256-128"]);
  calls: string[] = [];
  listener: FakeListener | undefined;
  readonly connections: FakeConnection[] = [];
  isPortTaken = false;
  /** Nothing gets through. */
  isCut = false;

  async listen(
    _at: KernelAddressing,
    keys: readonly DriverKey[],
    onConnection: (connection: KernelConnection) => void,
  ): Promise<KernelListener> {
    if (this.isPortTaken) throw refusal("addressInUse");
    const listener = new FakeListener(this, onConnection);
    for (const key of keys) listener.addKey(key);
    this.listener = listener;
    return listener;
  }

  async connect(
    _to: KernelAddressing,
    keys: readonly DriverKey[],
    first: DriverKey,
    signal: AbortSignal,
  ): Promise<KernelConnection> {
    const [own, accepted] = [new FakeConnection(this), new FakeConnection(this)];
    for (const key of keys) own.addKey(key);
    own.current = own.rnext = own.installed.find((key) => key === first);
    const { listener } = this;
    const mkt = listener?.installed.find(({ recvId }) => recvId === first.sendId);
    if (listener === undefined || mkt === undefined || !sameOctets(mkt, first) || this.isCut)
      return await never(signal);
    accepted.installed = [...listener.installed];
    accepted.current = accepted.rnext = mkt;
    own.other = accepted;
    accepted.other = own;
    this.connections.push(own, accepted);
    listener.onConnection(accepted);
    return own;
  }

  /** The process behind one end dies: the kernel closes for it, and nobody there learns of it. */
  dies(connection: FakeConnection | undefined): void {
    if (connection !== undefined) connection.isClosed = true;
    connection?.other?.close("ECONNRESET");
  }

  /** Both ends see a reset. */
  breaks(): void {
    for (const connection of this.connections) connection.close("ECONNRESET");
  }
}

/** An unanswered SYN. */
function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(refusal("ABORT_ERR"))));
}
