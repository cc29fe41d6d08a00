import {
  type Authenticated,
  parseSegment,
  type SocketPair,
  type TcpAoConnection,
  type TcpAoEndpoint,
} from "@karp/tcp-ao";
import {
  distance,
  incomingPair,
  isSamePair,
  KEEPALIVE,
  keepaliveSegment,
  plus,
  synAckSegment,
  synSegment,
} from "./segments.ts";

/** Counted by the receiver of the segments. */
export interface StreamCounts {
  readonly segmentsSent: number;
  readonly segmentsVerified: number;
  /** No MKT for the KeyID, a wrong MAC, no TCP-AO, or not TCP at all. */
  readonly segmentsRejected: number;
  /** Expected segments that never verified; and connections that ended while both ends were there, one each at least. */
  readonly gaps: number;
  /** Segments of a connection that this end does not have: nothing can be verified. Gaps too, if it has had it. */
  readonly segmentsStale: number;
  /** Connections over which both ends have heard each other. */
  readonly handshakes: number;
}

export interface StreamOptions {
  readonly endpoint: TcpAoEndpoint;
  readonly localAddress: Uint8Array;
  readonly remoteAddress: Uint8Array;
  /** Well-known port of the protocol: the passive end's. */
  readonly port: number;
  /** The end that sends the SYN. */
  readonly isActive: boolean;
  readonly intervalMilliseconds: number;
  /**
   * 16 bits, others for each stream: the upper half of its initial sequence numbers, which the handshake signs. So the
   * peer knows an end that was there all the time, and has lost its connection, from one that was started again.
   */
  readonly instance: number;
  /** 32 random bits: the rest of initial sequence numbers, and ports (RFC 9293 section 3.4.1). */
  readonly random: () => number;
}

interface Opening {
  readonly pair: SocketPair;
  readonly isn: number;
  sentAt: number;
  ageMilliseconds: number;
}

interface Open {
  readonly pair: SocketPair;
  /** The peer's. */
  readonly instance: number;
  readonly isn: number;
  readonly openedAt: number;
  /** The peer has acknowledged a KEEPALIVE of ours: it has the connection too. */
  isMutual: boolean;
  sendNext: number;
  receiveNext: number;
  silentMilliseconds: number;
  /** Segments turned away since the last one that verified. */
  rejected: number;
}

/** The last connection that both ends had and this end no longer has. */
interface Former {
  readonly pair: SocketPair;
  readonly instance: number;
  /** Its end stands among the gaps. */
  isCounted: boolean;
}

const FIRST_DYNAMIC_PORT = 49_152;
const SYN_RETRANSMISSION_MILLISECONDS = 500;
const OPENING_MILLISECONDS = 2_000;
/** Long enough for a peer that gets no processor for seconds: what it then missed shows in the sequence numbers. */
const LEAST_SILENCE_MILLISECONDS = 5_000;

/**
 * One BGP-like TCP connection at a time, as far as TCP-AO sees it: an authenticated handshake, then KEEPALIVE messages
 * both ways for as long as the other end is heard. Lost segments are not sent again: the receiver counts them as gaps.
 * No I/O and no clock: packets and moments (milliseconds) go in, packets come out.
 */
export class SegmentStream {
  readonly #options: StreamOptions;
  #opening: Opening | undefined;
  #open: Open | undefined;
  #former: Former | undefined;
  #tickedAt: number | undefined;
  #counts = {
    segmentsSent: 0,
    segmentsVerified: 0,
    segmentsRejected: 0,
    gaps: 0,
    segmentsStale: 0,
    handshakes: 0,
  };

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  get counts(): StreamCounts {
    return { ...this.#counts };
  }

  /** The established connection. */
  get established(): { readonly connection: TcpAoConnection; readonly openedAt: number } | undefined {
    const connection = this.#open && this.#options.endpoint.connection(this.#open.pair);
    return this.#open && connection && { connection, openedAt: this.#open.openedAt };
  }

  /** Once an interval. Without an installed MKT nothing is sent. */
  tick(now: number): readonly Uint8Array[] {
    const listened = this.#listened(now);
    if (this.#options.endpoint.mkts().length === 0) return [];
    this.#giveUp(listened);
    if (this.#open !== undefined) return this.#keepalive(this.#open);
    return this.#options.isActive ? this.#syn(now) : [];
  }

  /** Whatever the socket brings. */
  receive(packet: Uint8Array, now: number): readonly Uint8Array[] {
    const { endpoint } = this.#options;
    if (endpoint.mkts().length === 0) return []; // waits for its first key
    const verdict = endpoint.receive(packet);
    switch (verdict.kind) {
      case "authenticated":
        this.#counts.segmentsVerified++;
        return this.#authenticated(verdict, packet, now);
      case "unauthenticated":
        return this.#rejected();
      case "discarded":
        if (verdict.reason !== "isnUnknown") return this.#rejected();
        return this.#stale(packet);
    }
  }

  /** Forgets a handshake that is not finished: it holds on to the key that it began with. */
  abandonOpening(): void {
    if (this.#opening !== undefined) this.#options.endpoint.close(this.#opening.pair);
    this.#opening = undefined;
  }

  /** Ends everything. */
  close(): void {
    this.abandonOpening();
    if (this.#open === undefined) return;
    const { pair, instance, isMutual, rejected } = this.#open;
    this.#counts.gaps += rejected;
    if (isMutual) this.#former = { pair, instance, isCounted: false };
    this.#options.endpoint.close(pair);
    this.#open = undefined;
  }

  #rejected(): readonly Uint8Array[] {
    this.#counts.segmentsRejected++;
    if (this.#open !== undefined) this.#open.rejected++;
    return [];
  }

  /** A peer that was started again knows nothing of our connection; this end, started again, nothing of the peer's. */
  #stale(packet: Uint8Array): readonly Uint8Array[] {
    this.#counts.segmentsStale++;
    const segment = parseSegment(packet);
    const isFormer =
      this.#former !== undefined && segment.ok && isSamePair(incomingPair(segment.value), this.#former.pair);
    if (isFormer) this.#counts.gaps++;
    return [];
  }

  /**
   * Milliseconds since the last tick, an interval at most: a process that got no processor has not listened meanwhile,
   * and what came waits to be read.
   */
  #listened(now: number): number {
    const passed = now - (this.#tickedAt ?? now);
    this.#tickedAt = now;
    return Math.max(0, Math.min(passed, this.#options.intervalMilliseconds));
  }

  #giveUp(listened: number): void {
    if (this.#open !== undefined) {
      const patience = this.#open.isMutual
        ? Math.max(5 * this.#options.intervalMilliseconds, LEAST_SILENCE_MILLISECONDS)
        : OPENING_MILLISECONDS;
      this.#open.silentMilliseconds += listened;
      if (this.#open.silentMilliseconds > patience) this.close();
    }
    if (this.#opening === undefined) return;
    this.#opening.ageMilliseconds += listened;
    if (this.#opening.ageMilliseconds > OPENING_MILLISECONDS) this.abandonOpening();
  }

  /** `<SEQ=ISS><CTL=SYN> -->` */
  #syn(now: number): readonly Uint8Array[] {
    if (this.#opening !== undefined && now - this.#opening.sentAt < SYN_RETRANSMISSION_MILLISECONDS) return [];
    this.#opening ??= this.#newOpening(this.#newPair(), now);
    this.#opening.sentAt = now;
    return this.#send(synSegment(this.#opening.pair, this.#opening.isn));
  }

  #newOpening(pair: SocketPair, now: number): Opening {
    const isn = ((this.#options.instance << 16) | (this.#options.random() & 0xffff)) >>> 0;
    return { pair, isn, sentAt: now, ageMilliseconds: 0 };
  }

  #newPair(): SocketPair {
    const { localAddress, remoteAddress, port, random } = this.#options;
    const localPort = FIRST_DYNAMIC_PORT + (random() % (0x10000 - FIRST_DYNAMIC_PORT));
    return { localAddress, localPort, remoteAddress, remotePort: port };
  }

  #keepalive(open: Open): readonly Uint8Array[] {
    const numbers = { sequenceNumber: open.sendNext, acknowledgmentNumber: open.receiveNext };
    const sent = this.#send(keepaliveSegment(open.pair, numbers));
    if (sent.length > 0) open.sendNext = plus(open.sendNext, KEEPALIVE.length);
    return sent;
  }

  /** Signed with the connection's current_key; an unsigned segment never leaves. */
  #send(packet: Uint8Array): readonly Uint8Array[] {
    const outgoing = this.#options.endpoint.send(packet);
    if (outgoing.kind !== "signed") return [];
    this.#counts.segmentsSent++;
    return [outgoing.packet];
  }

  #authenticated(verdict: Authenticated, packet: Uint8Array, now: number): readonly Uint8Array[] {
    const { segment } = verdict;
    const pair = incomingPair(segment);
    if (segment.isSyn && !segment.isAck) return this.#synReceived(verdict, packet, pair, now);
    if (this.#open !== undefined && isSamePair(pair, this.#open.pair)) {
      this.#data(this.#open, verdict);
      return [];
    }
    const opening = this.#opening;
    const isAnswer = opening !== undefined && isSamePair(pair, opening.pair);
    if (!isAnswer || segment.acknowledgmentNumber !== plus(opening.isn, 1)) return [];
    return this.#opened(opening, verdict, now);
  }

  /** `--> <SEQ=ISS><CTL=SYN>`. The old connection stays until the new one has proved that it is no replay. */
  #synReceived(verdict: Authenticated, packet: Uint8Array, pair: SocketPair, now: number): readonly Uint8Array[] {
    if (this.#options.isActive || (this.#open !== undefined && isSamePair(pair, this.#open.pair))) return [];
    if (verdict.isSynOfOtherConnection) {
      this.#options.endpoint.close(pair);
      if (this.#options.endpoint.receive(packet).kind !== "authenticated") return [];
    }
    const known =
      this.#opening !== undefined && isSamePair(pair, this.#opening.pair) && !verdict.isSynOfOtherConnection;
    if (!known) {
      if (this.#opening !== undefined && !isSamePair(pair, this.#opening.pair)) this.abandonOpening();
      this.#opening = this.#newOpening(pair, now);
    }
    // <-- <SEQ=ISS><ACK=IRS+1><CTL=SYN,ACK>
    return this.#opening ? this.#send(synAckSegment(pair, this.#opening.isn, verdict.segment.sequenceNumber)) : [];
  }

  /** The other end has acknowledged our ISN: it is there now, and this is no replay. */
  #opened(opening: Opening, verdict: Authenticated, now: number): readonly Uint8Array[] {
    const { segment } = verdict;
    const remoteIsn = this.#options.endpoint.connection(opening.pair)?.remoteIsn;
    if (remoteIsn === undefined) return [];
    this.#opening = undefined;
    this.close();
    const open: Open = {
      pair: opening.pair,
      instance: remoteIsn >>> 16,
      isn: opening.isn,
      openedAt: now,
      isMutual: false,
      sendNext: plus(opening.isn, 1),
      receiveNext: plus(remoteIsn, 1),
      silentMilliseconds: 0,
      rejected: 0,
    };
    this.#open = open;
    this.#countInterruption(open);
    this.#data(open, verdict);
    return segment.isSyn ? this.#keepalive(open) : [];
  }

  /** A peer that was there all the time had the former connection as well: that it ended is a gap. */
  #countInterruption({ instance }: Open): void {
    if (this.#former === undefined || this.#former.isCounted || this.#former.instance !== instance) return;
    this.#former.isCounted = true;
    this.#counts.gaps++;
  }

  #data(open: Open, { segment }: Authenticated): void {
    open.silentMilliseconds = 0;
    if (segment.isSyn) return;
    if (!open.isMutual && distance(segment.acknowledgmentNumber, plus(open.isn, 1)) > 0) {
      open.isMutual = true;
      this.#counts.handshakes++;
    }
    const ahead = distance(segment.sequenceNumber, open.receiveNext);
    if (ahead < 0) return; // came twice, or late: counted as a gap already
    this.#counts.gaps += Math.ceil(ahead / KEEPALIVE.length);
    open.rejected = 0;
    open.receiveNext = plus(segment.sequenceNumber, segment.data.length);
  }
}
