import { utf8Encode } from "../bytes/utf8.ts";
import { CookieSecrets } from "../crypto/cookie.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { newCounters } from "./counters.ts";
import { Deadlines } from "./deadlines.ts";
import type { IkeSa } from "./ikeSa.ts";
import { IkeSaTable } from "./ikeSaTable.ts";
import type { IkeEffect, IkeEvent, IkeLogEvent, Instant, MktPolicy, Now, UdpAddress } from "./machine.ts";
import type { PeerOperation } from "./operation.ts";
import { type Peer, PeerTable } from "./peers.ts";
import { RateLimit } from "./rateLimit.ts";
import type { EngineSettings } from "./settings.ts";
import type { Timer } from "./timer.ts";

const VENDOR_TEXT = utf8Encode("karp IKEv2 private code points 1");
const VENDOR_ID_BYTES = 16;

/** What the parts of the engine share: collaborators, tables, and the effects of the present turn. */
export class EngineContext {
  readonly crypto: CryptoProvider;
  readonly policy: MktPolicy;
  readonly settings: EngineSettings;
  readonly peers = new PeerTable();
  readonly ikeSas = new IkeSaTable();
  readonly deadlines = new Deadlines<Timer>();
  readonly counters = newCounters();
  readonly unprotectedErrors: RateLimit;
  /** Operations that somebody outside waits for, by their requestId. */
  readonly pending = new Map<number, PeerOperation>();
  /** IKE SAs that hold a response until `commit`, or wait for `certificateValidated`, by that id. */
  readonly awaitingAnswer = new Map<number, IkeSa>();
  readonly #peersToAttend = new Set<Peer>();
  readonly #ikeSasToWake = new Set<IkeSa>();
  #now: Now = { monotonic: 0 as Instant, wall: 0 as Now["wall"] };
  #notices: IkeEffect[] = [];
  #sends: IkeEffect[] = [];
  #sequence = 0;
  #cookies: CookieSecrets | undefined;
  #vendorId: Uint8Array | undefined;

  constructor(crypto: CryptoProvider, policy: MktPolicy, settings: EngineSettings) {
    this.crypto = crypto;
    this.policy = policy;
    this.settings = settings;
    this.unprotectedErrors = new RateLimit(settings.unprotectedErrorsPerSecond);
  }

  get now(): Now {
    return this.#now;
  }

  /** Made when they are needed first. */
  get cookies(): CookieSecrets {
    this.#cookies ??= new CookieSecrets(this.crypto, this.#now.monotonic);
    return this.#cookies;
  }

  /** Who sends it knows karp's private code points (RFC 7296 section 3.12). */
  get vendorId(): Uint8Array {
    this.#vendorId ??= this.crypto.digest("sha256", VENDOR_TEXT).slice(0, VENDOR_ID_BYTES);
    return this.#vendorId;
  }

  beginTurn(now: Now): void {
    this.#now = now;
  }

  /** Events before datagrams: whoever performs them in order has stored what a datagram promises. */
  endTurn(): readonly IkeEffect[] {
    const effects = this.#sends.length === 0 ? this.#notices : [...this.#notices, ...this.#sends];
    this.#notices = [];
    this.#sends = [];
    return effects;
  }

  /** Before the turn ends, see whether this peer needs an IKE SA. */
  attend(peer: Peer): void {
    this.#peersToAttend.add(peer);
  }

  /** Before the turn ends, see whether this IKE SA can begin its next exchange. */
  wake(sa: IkeSa): void {
    this.#ikeSasToWake.add(sa);
  }

  nextToAttend(): Peer | undefined {
    return takeFirst(this.#peersToAttend);
  }

  nextToWake(): IkeSa | undefined {
    return takeFirst(this.#ikeSasToWake);
  }

  emit(event: IkeEvent): void {
    this.#notices.push({ kind: "event", event });
  }

  log(event: IkeLogEvent): void {
    this.#notices.push({ kind: "log", event });
  }

  ask(effect: Extract<IkeEffect, { readonly kind: "validateCertificate" }>): void {
    this.#notices.push(effect);
  }

  send(local: UdpAddress, remote: UdpAddress, data: Uint8Array): void {
    this.#sends.push({ kind: "send", local, remote, data });
  }

  /** The moment so many seconds from now. */
  after(seconds: number): Instant {
    return (this.#now.monotonic + seconds * 1000) as Instant;
  }

  /** Grows with every use: ids of requests, and the order of what happens. */
  nextNumber(): number {
    return ++this.#sequence;
  }

  /** From 0 (inclusive) to 1 (exclusive). */
  randomFraction(): number {
    const octets = this.crypto.random(4);
    return new DataView(octets.buffer, octets.byteOffset, 4).getUint32(0) / 2 ** 32;
  }
}

function takeFirst<T>(set: Set<T>): T | undefined {
  for (const item of set) {
    set.delete(item);
    return item;
  }
  return undefined;
}
