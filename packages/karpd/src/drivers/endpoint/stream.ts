import type { Authenticated, SocketPair, TcpAoConnection, TcpAoEndpoint } from "@karp/tcp-ao";
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
  /** Expected segments that never verified. */
  readonly gaps: number;
  /** Segments of a connection that this end no longer has, after a restart: nothing can be verified. */
  readonly segmentsStale: number;
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
  /** 32 random bits: initial sequence numbers and ports (RFC 9293 section 3.4.1). */
  readonly random: () => number;
}

type Opening = { readonly pair: SocketPair; readonly isn: number; readonly startedAt: number; readonly sentAt: number };

interface Open {
  readonly pair: SocketPair;
  readonly openedAt: number;
  sendNext: number;
  receiveNext: number;
  heardAt: number;
  /** Segments turned away since the last one that verified. */
  rejected: number;
}

const FIRST_DYNAMIC_PORT = 49_152;
const SYN_RETRANSMISSION_MILLISECONDS = 500;
const OPENING_MILLISECONDS = 2_000;
const LEAST_SILENCE_MILLISECONDS = 1_500;

/**
 * One BGP-like TCP connection at a time, as far as TCP-AO sees it: an authenticated handshake, then KEEPALIVE messages
 * both ways for as long as the other end is heard. Lost segments are not sent again: the receiver counts them as gaps.
 * No I/O and no clock: packets and moments (milliseconds) go in, packets come out.
 */
export class SegmentStream {
  readonly #options: StreamOptions;
  #opening: Opening | undefined;
  #open: Open | undefined;
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
    if (this.#options.endpoint.mkts().length === 0) return [];
    this.#giveUp(now);
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
        this.#counts.segmentsStale++;
        return [];
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
    this.#counts.gaps += this.#open.rejected;
    this.#options.endpoint.close(this.#open.pair);
    this.#open = undefined;
  }

  #rejected(): readonly Uint8Array[] {
    this.#counts.segmentsRejected++;
    if (this.#open !== undefined) this.#open.rejected++;
    return [];
  }

  #giveUp(now: number): void {
    const silence = Math.max(5 * this.#options.intervalMilliseconds, LEAST_SILENCE_MILLISECONDS);
    if (this.#open !== undefined && now - this.#open.heardAt > silence) this.close();
    if (this.#opening !== undefined && now - this.#opening.startedAt > OPENING_MILLISECONDS) this.abandonOpening();
  }

  /** `<SEQ=ISS><CTL=SYN> -->` */
  #syn(now: number): readonly Uint8Array[] {
    if (this.#opening !== undefined && now - this.#opening.sentAt < SYN_RETRANSMISSION_MILLISECONDS) return [];
    const { pair, isn, startedAt } = this.#opening ?? {
      pair: this.#newPair(),
      isn: this.#options.random(),
      startedAt: now,
    };
    this.#opening = { pair, isn, startedAt, sentAt: now };
    return this.#send(synSegment(pair, isn));
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
      this.#data(this.#open, verdict, now);
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
      this.#opening = { pair, isn: this.#options.random(), startedAt: now, sentAt: now };
    }
    // <-- <SEQ=ISS><ACK=IRS+1><CTL=SYN,ACK>
    return this.#opening ? this.#send(synAckSegment(pair, this.#opening.isn, verdict.segment.sequenceNumber)) : [];
  }

  /** The other end has acknowledged our ISN: both are there. */
  #opened(opening: Opening, verdict: Authenticated, now: number): readonly Uint8Array[] {
    const { segment } = verdict;
    this.#opening = undefined;
    this.close();
    this.#counts.handshakes++;
    const open: Open = {
      pair: opening.pair,
      openedAt: now,
      sendNext: plus(opening.isn, 1),
      receiveNext: segment.isSyn ? plus(segment.sequenceNumber, 1) : segment.sequenceNumber,
      heardAt: now,
      rejected: 0,
    };
    this.#open = open;
    this.#data(open, verdict, now);
    return segment.isSyn ? this.#keepalive(open) : [];
  }

  #data(open: Open, { segment }: Authenticated, now: number): void {
    open.heardAt = now;
    if (segment.isSyn) return;
    const ahead = distance(segment.sequenceNumber, open.receiveNext);
    if (ahead < 0) return; // came twice, or late: counted as a gap already
    this.#counts.gaps += Math.ceil(ahead / KEEPALIVE.length);
    open.rejected = 0;
    open.receiveNext = plus(segment.sequenceNumber, segment.data.length);
  }
}
