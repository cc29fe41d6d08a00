import { encodeMessage, MessageReader } from "./bgpMessages.ts";
import type { SocketKeys } from "./kernelKeys.ts";
import type { KernelState } from "./kernelSession.ts";
import type { KernelConnection } from "./kernelSockets.ts";

export type LinkEnd =
  /** One end closed it on purpose, and said so. */
  { readonly kind: "orderly" } | { readonly kind: "broken" | "silent" | "invalid"; readonly reason: string };

export interface LinkEvents {
  /** The peer's OPEN. */
  readonly up: (identifier: number) => void;
  readonly keepalive: () => void;
  /** That many more segments were turned away by the kernel. */
  readonly rejected: (segments: number) => void;
  /** Once, and the last one. */
  readonly ended: (end: LinkEnd) => void;
}

/** One TCP connection of a session, from connect() or accept() to its end. */
export class KernelLink {
  readonly keys: SocketKeys;
  readonly #connection: KernelConnection;
  readonly #events: LinkEvents;
  readonly #reader = new MessageReader();
  #identifier: number | undefined;
  #silentTicks = 0;
  #rejected = 0;
  #hasCeased = false;
  #hasEnded = false;

  constructor(connection: KernelConnection, keys: SocketKeys, events: LinkEvents) {
    this.#connection = connection;
    this.keys = keys;
    this.#events = events;
  }

  /** The peer's BGP Identifier, once its OPEN came. */
  get identifier(): number | undefined {
    return this.#identifier;
  }

  get isUp(): boolean {
    return this.#identifier !== undefined;
  }

  /** `open`, then a KEEPALIVE (RFC 4271 section 8.2.2, OpenSent). */
  start(open: Uint8Array): void {
    this.#connection.start({
      data: (octets) => this.#received(octets),
      end: (reason) => this.#end({ kind: "broken", reason }),
    });
    this.#connection.send(open);
    this.#connection.send(encodeMessage({ kind: "keepalive" }));
  }

  state(): KernelState {
    const { good, rejected, currentSendId, rnextRecvId } = this.#connection.info();
    return {
      ...(currentSendId !== undefined && { currentSendId }),
      ...(rnextRecvId !== undefined && { rnextRecvId }),
      goodByRecvId: new Map(this.#connection.keys().map((key) => [key.recvId, key.good])),
      good,
      rejected,
    };
  }

  /** Sends a KEEPALIVE; after `holdTicks` of silence the connection is of no use. */
  tick(holdTicks: number): void {
    if (this.#hasEnded) return;
    this.#count();
    if (++this.#silentTicks <= holdTicks) {
      this.#connection.send(encodeMessage({ kind: "keepalive" }));
      return;
    }
    this.#end({ kind: "silent", reason: "nothing came for too long" });
    this.#connection.reset();
  }

  /** Ends it on purpose; what is on its way still leaves. */
  finish(): void {
    this.#count();
    this.#end({ kind: "orderly" });
    this.#connection.finish(encodeMessage({ kind: "cease" }));
  }

  /** Ends it on purpose, and leaves nothing behind that has a key. */
  reset(): void {
    this.#end({ kind: "orderly" });
    this.#connection.reset(encodeMessage({ kind: "cease" }));
  }

  /** Another connection has taken its place. */
  drop(): void {
    this.#end({ kind: "broken", reason: "the peer has opened another one" });
    this.#connection.reset();
  }

  #received(octets: Uint8Array): void {
    if (this.#hasEnded) return;
    const messages = this.#reader.read(octets);
    if (messages === undefined) {
      this.#end({ kind: "invalid", reason: "what came is no BGP" });
      this.#connection.reset();
      return;
    }
    this.#silentTicks = 0;
    for (const message of messages) {
      if (message.kind === "keepalive") this.#events.keepalive();
      else if (message.kind === "cease") this.#hasCeased = true;
      else if (this.#identifier === undefined) {
        this.#identifier = message.identifier;
        this.#events.up(message.identifier);
      }
    }
  }

  #count(): void {
    try {
      const { rejected } = this.#connection.info();
      this.#events.rejected(Math.max(0, rejected - this.#rejected));
      this.#rejected = rejected;
    } catch {
      // Closed, and its end is on the way here
    }
  }

  #end(end: LinkEnd): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#events.ended(this.#hasCeased ? { kind: "orderly" } : end);
  }
}
