import type { ApplyOutcome, DriverKey } from "../../ports/routingDriver.ts";
import type { DriverLog } from "../context.ts";
import { idsOf } from "../keys.ts";
import { errnoOf, messageOf } from "../text.ts";
import { encodeMessage } from "./bgpMessages.ts";
import { failureOf, SocketKeys } from "./kernelKeys.ts";
import { KernelLink, type LinkEnd } from "./kernelLink.ts";
import type { KernelAddressing, KernelConnection, KernelListener, KernelSockets, KeyIds } from "./kernelSockets.ts";
import { isSameKey } from "./keyRing.ts";

/** Counted by this end. */
export interface KernelCounts {
  /** Connections over which the peer's OPEN came. */
  readonly kernelConnections: number;
  /** KEEPALIVE messages received. */
  readonly kernelKeepalives: number;
  /** Connections that were up and broke without a Cease. */
  readonly kernelResets: number;
  /** Those of them where the peer was there all the time. */
  readonly kernelGaps: number;
  /** Segments of a connection that the kernel turned away. */
  readonly kernelRejected: number;
  /** Calls that the kernel refused, and octets that are no BGP. */
  readonly kernelErrors: number;
}

export interface KernelSessionOptions {
  readonly sockets: KernelSockets;
  readonly addressing: KernelAddressing;
  /** The end that connects. */
  readonly isActive: boolean;
  readonly intervalMilliseconds: number;
  /** BGP Identifier: another one for each process. */
  readonly identifier: number;
  readonly log: DriverLog;
}

/** What the kernel does now. */
export interface KernelState {
  readonly currentSendId?: number;
  readonly rnextRecvId?: number;
  readonly goodByRecvId: ReadonlyMap<number, number>;
  readonly good: number;
  readonly rejected: number;
}

interface Opening {
  readonly abort: AbortController;
  readonly keys: readonly DriverKey[];
  ticks: number;
}

const OPENING_MILLISECONDS = 2_000;
const HOLD_MILLISECONDS = 10_000;
const LEAST_HOLD_TICKS = 10;
const FIRST_RETRY_MILLISECONDS = 500;
const LAST_RETRY_MILLISECONDS = 5_000;

/**
 * A real TCP session with TCP-AO in the kernel: one end listens, the other connects; OPEN, then a KEEPALIVE an interval
 * both ways. Time comes in as ticks, one an interval.
 */
export class KernelSession {
  readonly #options: KernelSessionOptions;
  readonly #links = new Set<KernelLink>();
  #wanted: readonly DriverKey[] = [];
  #listener: { readonly socket: KernelListener; readonly keys: SocketKeys } | undefined;
  #opening: Opening | undefined;
  #ticksToRetry = 0;
  #retryMilliseconds = FIRST_RETRY_MILLISECONDS;
  #isClosed = false;
  /** Identifier of the peer whose connection broke; whether that was a gap shows when it is back. */
  #brokenWith: number | undefined;
  #counts = {
    kernelConnections: 0,
    kernelKeepalives: 0,
    kernelResets: 0,
    kernelGaps: 0,
    kernelRejected: 0,
    kernelErrors: 0,
  };

  constructor(options: KernelSessionOptions) {
    this.#options = options;
  }

  get counts(): KernelCounts {
    return { ...this.#counts };
  }

  /** New keys first, on the listener and on connections; then rnext_key; then what is gone leaves. Never rejects. */
  async apply(keys: readonly DriverKey[]): Promise<ApplyOutcome> {
    this.#wanted = keys;
    if (this.#opening !== undefined && !isSameSet(this.#opening.keys, keys)) this.#abandonOpening();
    try {
      const outcome = this.#settle();
      if (outcome.kind === "refused") return outcome;
      await this.#listen();
      return outcome;
    } catch (error) {
      this.#counts.kernelErrors++;
      return failureOf(error, keys);
    }
  }

  /** Undefined: done, and no connection uses anything else. */
  revoke(keep: readonly DriverKey[]): string | undefined {
    this.#wanted = keep;
    this.#abandonOpening();
    if (keep.length === 0) {
      this.#closeListener();
      for (const link of [...this.#links]) link.reset();
      return undefined;
    }
    try {
      const outcome = this.#settle(keep.find(({ use }) => use === "preferred") ?? keep[0]);
      return outcome.kind === "installed" ? undefined : outcome.reason;
    } catch (error) {
      this.#counts.kernelErrors++;
      return `the kernel: ${messageOf(error)}`;
    }
  }

  /** Of the connection; undefined while there is none. */
  state(): KernelState | undefined {
    const link = [...this.#links].findLast(({ isUp }) => isUp) ?? [...this.#links].at(-1);
    try {
      return link?.state();
    } catch {
      return undefined; // closed, and its end is on the way here
    }
  }

  /** RecvIDs that a connection is accepted with now. */
  recvIds(): readonly number[] {
    const keys = this.#options.isActive ? this.#wanted : (this.#listener?.socket.keys() ?? []);
    return keys.map(({ recvId }) => recvId);
  }

  /** Once an interval. */
  tick(): void {
    const holdTicks = Math.max(LEAST_HOLD_TICKS, this.#ticks(HOLD_MILLISECONDS));
    for (const link of [...this.#links]) link.tick(holdTicks);
    if (this.#opening !== undefined && ++this.#opening.ticks > this.#ticks(OPENING_MILLISECONDS)) {
      this.#abandonOpening();
      this.#retryLater();
    }
    if (this.#ticksToRetry > 0) this.#ticksToRetry--;
    else if (this.#mayOpen()) void this.#open();
  }

  /** The segments say that the peer has come up: no need to wait any longer. */
  peerAppeared(): void {
    this.#ticksToRetry = 0;
    this.#retryMilliseconds = FIRST_RETRY_MILLISECONDS;
  }

  close(): void {
    this.#isClosed = true;
    this.#wanted = [];
    this.#abandonOpening();
    this.#closeListener();
    for (const link of [...this.#links]) link.finish();
  }

  #settle(successor?: DriverKey): Exclude<ApplyOutcome, { kind: "lost" | "foreign" }> {
    const [clash] = [...this.#links].flatMap(
      ({ keys }) => this.#ifOpen(() => keys.makeRoom(this.#wanted, successor)) ?? [],
    );
    if (clash !== undefined)
      return { kind: "refused", reason: `the kernel: KeyID ${idsOf(clash)} still belongs to a key in use` };
    this.#listener?.keys.makeRoom(this.#wanted);
    const links = [...this.#links].map((link) => this.#ifOpen(() => link.keys.add(this.#wanted)));
    for (const added of [this.#listener?.keys.add(this.#wanted), ...links]) {
      if (added === undefined || added.kind === "added") continue;
      this.#counts.kernelErrors++;
      return added;
    }
    for (const link of this.#links) this.#ifOpen(() => link.keys.prefer(this.#wanted));
    const staying = this.#deleteUnwanted(successor);
    if (staying.length === 0) return { kind: "installed" };
    const names = staying.map(idsOf).join(", ");
    return { kind: "pending", reason: `the kernel: ${names} still in use: removed as soon as the peer has moved` };
  }

  /** A key that a connection uses stays on the listener too: the peer may come back with it. */
  #deleteUnwanted(successor: DriverKey | undefined): readonly KeyIds[] {
    const inUse = [...this.#links].flatMap(
      (link) => this.#ifOpen(() => link.keys.deleteUnwanted(this.#wanted, successor)) ?? [],
    );
    const stays = (this.#listener?.keys.given ?? []).filter((key) => inUse.some((used) => idsOf(used) === idsOf(key)));
    this.#listener?.keys.deleteUnwanted([...this.#wanted, ...stays]);
    return inUse;
  }

  /** A connection may close at any moment: then its end is on the way here. */
  #ifOpen<T>(action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      if (errnoOf(error) === "badDescriptor") return undefined;
      throw error;
    }
  }

  /** Without a key nobody may come in: then nothing listens. */
  async #listen(): Promise<void> {
    if (this.#options.isActive) return;
    if (this.#wanted.length === 0) {
      if (this.#links.size === 0) this.#closeListener();
      return;
    }
    if (this.#listener !== undefined) return;
    const { sockets, addressing } = this.#options;
    const given = this.#wanted;
    const socket = await sockets.listen(addressing, given, (connection) => this.#accepted(connection));
    if (this.#isClosed) socket.close();
    else this.#listener = { socket, keys: new SocketKeys(socket, given) };
  }

  #closeListener(): void {
    this.#listener?.socket.close();
    this.#listener = undefined;
  }

  #accepted(connection: KernelConnection): void {
    if (this.#isClosed || this.#wanted.length === 0) connection.reset();
    // Keys that it brought along and that are gone meanwhile leave as soon as they can
    else this.#linked(connection, this.#listener?.keys.given ?? []);
  }

  #mayOpen(): boolean {
    const isWanted = this.#options.isActive && this.#wanted.some(({ use }) => use === "preferred");
    return isWanted && !this.#isClosed && this.#opening === undefined && this.#links.size === 0;
  }

  /** With the preferred key only: the peer has said that it accepts it. */
  async #open(): Promise<void> {
    const { sockets, addressing } = this.#options;
    const keys = this.#wanted;
    const first = keys.find(({ use }) => use === "preferred");
    if (first === undefined) return;
    const opening: Opening = { abort: new AbortController(), keys, ticks: 0 };
    this.#opening = opening;
    try {
      const connection = await sockets.connect(addressing, keys, first, opening.abort.signal);
      if (this.#opening === opening) this.#linked(connection, keys);
      else connection.reset();
    } catch (error) {
      if (this.#opening === opening) this.#couldNotOpen(error);
    }
    if (this.#opening === opening) this.#opening = undefined;
  }

  #couldNotOpen(error: unknown): void {
    this.#retryLater();
    if (["ECONNREFUSED", "ETIMEDOUT", "ECONNRESET"].includes(errnoOf(error) ?? "")) return; // nobody there yet
    this.#counts.kernelErrors++;
    this.#options.log("warning", `endpoint: TCP to ${this.#options.addressing.remote}: ${messageOf(error)}`);
  }

  #abandonOpening(): void {
    this.#opening?.abort.abort();
    this.#opening = undefined;
  }

  #retryLater(): void {
    this.#ticksToRetry = this.#ticks(this.#retryMilliseconds);
    this.#retryMilliseconds = Math.min(2 * this.#retryMilliseconds, LAST_RETRY_MILLISECONDS);
  }

  #linked(connection: KernelConnection, given: readonly DriverKey[]): void {
    const link: KernelLink = new KernelLink(connection, new SocketKeys(connection, given), {
      up: (identifier) => this.#up(link, identifier),
      keepalive: () => this.#counts.kernelKeepalives++,
      rejected: (segments) => {
        this.#counts.kernelRejected += segments;
      },
      ended: (end) => this.#ended(link, end),
    });
    this.#links.add(link);
    try {
      this.#settle();
    } catch (error) {
      this.#counts.kernelErrors++;
      this.#options.log("warning", `endpoint: a new connection's keys: ${messageOf(error)}`);
    }
    link.start(encodeMessage({ kind: "open", identifier: this.#options.identifier }));
  }

  /** The peer has proved that it is there: older connections are of no use any more. */
  #up(link: KernelLink, identifier: number): void {
    this.#counts.kernelConnections++;
    this.#retryMilliseconds = FIRST_RETRY_MILLISECONDS;
    for (const other of [...this.#links]) if (other !== link) other.drop();
    // Only a peer that was there all the time has missed something; one that was started again has not
    if (this.#brokenWith === identifier) this.#counts.kernelGaps++;
    this.#brokenWith = undefined;
  }

  #ended(link: KernelLink, end: LinkEnd): void {
    this.#links.delete(link);
    if (end.kind === "invalid") this.#counts.kernelErrors++;
    if (link.identifier === undefined) this.#retryLater();
    else if (end.kind !== "orderly") {
      this.#counts.kernelResets++;
      this.#brokenWith = link.identifier;
    }
    if (end.kind !== "orderly") this.#options.log("info", `endpoint: a TCP connection broke: ${end.reason}`);
  }

  #ticks(milliseconds: number): number {
    return Math.ceil(milliseconds / this.#options.intervalMilliseconds);
  }
}

function isSameSet(a: readonly DriverKey[], b: readonly DriverKey[]): boolean {
  const has = (keys: readonly DriverKey[], key: DriverKey): boolean =>
    keys.some((other) => isSameKey(key, other) && key.use === other.use);
  return a.length === b.length && a.every((key) => has(b, key));
}
