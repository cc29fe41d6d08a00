import { copyOf } from "./bytes.ts";
import type { TcpAoConnection } from "./connection.ts";
import type { SocketPair } from "./connectionIdentifier.ts";
import type { Counters, TcpAoCounters } from "./counters.ts";
import type { TcpAoCrypto } from "./crypto.ts";
import { type SegmentRefusal, segmentRefusal } from "./errors.ts";
import type { Mkt } from "./mkt.ts";
import {
  hasValidTcpChecksum,
  isSynWithoutAck,
  parseSegment,
  TCP_CHECKSUM_OFFSET,
  type TcpAoOption,
  type TcpSegment,
} from "./segment.ts";
import { verifyParsedSegment } from "./verifySegment.ts";

/** What became of an incoming packet. */
export type Verdict = Authenticated | Unauthenticated | Discarded;

/** The MAC is right. */
export interface Authenticated {
  readonly kind: "authenticated";
  readonly segment: TcpSegment;
  readonly mkt: Mkt;
  readonly keyId: number;
  readonly rNextKeyId: number;
  /** The new current_key, if the segment moved it (RFC 5925 section 7.5, step 2.e). */
  readonly movedCurrentTo?: Mkt;
  /**
   * A valid SYN for a socket pair whose connection has another ISN. It may be an old one played back, so it changed
   * nothing; when TCP decides that the peer has restarted: `close` the connection and `receive` the packet again.
   */
  readonly isSynOfOtherConnection: boolean;
}

/** No MKT matches, and that is accepted here (RFC 5925 section 7.3). */
export interface Unauthenticated {
  readonly kind: "unauthenticated";
  readonly segment: TcpSegment;
}

/** To be discarded silently (RFC 5925 section 7.3). */
export type Discarded =
  /** Not TCP, or an option list that breaks the rules, or a wrong TCP checksum. */
  | { readonly kind: "discarded"; readonly reason: "malformed"; readonly refusal: SegmentRefusal }
  /** No MKT with this RecvID is installed for the connection. */
  | { readonly kind: "discarded"; readonly reason: "keyNotFound"; readonly keyId: number }
  /** The MAC or the option's length is wrong. */
  | { readonly kind: "discarded"; readonly reason: "bad"; readonly keyId: number; readonly refusal: SegmentRefusal }
  /** No TCP-AO where an MKT or the policy wants it. */
  | { readonly kind: "discarded"; readonly reason: "required" }
  /** No connection, or one whose ISNs are not known: nothing can be verified. */
  | { readonly kind: "discarded"; readonly reason: "isnUnknown"; readonly keyId: number };

/** What receiving needs of its endpoint. */
export interface Receiving {
  readonly crypto: TcpAoCrypto;
  readonly unmatched: "accept" | "discard";
  readonly validatesChecksum: boolean;
  readonly counters: Counters;
  connection(pair: SocketPair): TcpAoConnection | undefined;
  matching(pair: SocketPair): readonly Mkt[];
  create(pair: SocketPair, keys: { readonly currentKey: Mkt; readonly rnextKey: Mkt }): TcpAoConnection;
  commit(connection: TcpAoConnection): void;
}

/** RFC 5925 section 7.5. */
export function receiveSegment(receiving: Receiving, packet: Uint8Array): Verdict {
  const parsed = parseSegment(packet);
  if (!parsed.ok) return { kind: "discarded", reason: "malformed", refusal: parsed.error };
  const segment = parsed.value;
  if (receiving.validatesChecksum && !hasValidTcpChecksum(segment)) return badChecksum(segment);
  const pair = incomingPair(segment);
  const mkts = receiving.matching(pair);
  const { tcpAo } = segment;
  if (tcpAo === undefined || mkts.length === 0) return withoutMkt(receiving, segment, pair, mkts);
  // The socket pair and the KeyID alone choose the MKT: RFC 5925 section 3.3
  const mkt = mkts.find(({ recvId }) => recvId === tcpAo.keyId);
  if (mkt === undefined) {
    count(receiving, pair, "keyNotFound");
    return { kind: "discarded", reason: "keyNotFound", keyId: tcpAo.keyId };
  }
  return isSynWithoutAck(segment)
    ? receiveSyn(receiving, { segment, tcpAo, pair, mkt, mkts })
    : receiveOther(receiving, { segment, tcpAo, pair, mkt, mkts });
}

interface Incoming {
  readonly segment: TcpSegment;
  readonly tcpAo: TcpAoOption;
  readonly pair: SocketPair;
  readonly mkt: Mkt;
  readonly mkts: readonly Mkt[];
}

/** A connection that matches any MKT requires TCP-AO (RFC 5925 section 10, 2.c); else the policy decides. */
function withoutMkt(receiving: Receiving, segment: TcpSegment, pair: SocketPair, mkts: readonly Mkt[]): Verdict {
  if (mkts.length === 0 && receiving.unmatched === "accept") return { kind: "unauthenticated", segment };
  if (segment.tcpAo !== undefined) {
    count(receiving, pair, "keyNotFound");
    return { kind: "discarded", reason: "keyNotFound", keyId: segment.tcpAo.keyId };
  }
  count(receiving, pair, "required");
  return { kind: "discarded", reason: "required" };
}

/** A SYN opens a connection, comes again, or crosses ours (simultaneous open). */
function receiveSyn(receiving: Receiving, incoming: Incoming): Verdict {
  const { segment, tcpAo, pair, mkt, mkts } = incoming;
  const remoteIsn = segment.sequenceNumber;
  const existing = receiving.connection(pair);
  const asked = mkts.find(({ sendId }) => sendId === tcpAo.rNextKeyId) ?? mkt;
  const connection = existing ?? receiving.create(pair, { currentKey: asked, rnextKey: mkt });
  const isns = { localIsn: 0, remoteIsn };
  const isKnown = existing?.remoteIsn === remoteIsn;
  const key = connection.trafficKeys.segmentKey(mkt, "Receive_SYN_traffic_key", isns, isKnown);
  // A SYN is the first segment of its connection: its SNE is zero (RFC 5925 section 6.2)
  const verified = verifyParsedSegment(receiving.crypto, segment, key, 0);
  if (!verified.ok) return bad(receiving, incoming, verified.error);
  receiving.counters.add("good");
  connection.count("good", mkt);
  // A SYN of a connection that is known already may be a replay: it moves neither ISN nor current_key
  const isOther = existing?.remoteIsn !== undefined && !isKnown;
  if (isOther || isKnown) return authenticated(incoming, undefined, isOther);
  connection.setRemoteIsn(remoteIsn);
  const moved = connection.acceptKeyIds(tcpAo);
  receiving.commit(connection);
  return authenticated(incoming, moved, false);
}

function receiveOther(receiving: Receiving, incoming: Incoming): Verdict {
  const { segment, tcpAo, pair, mkt } = incoming;
  const connection = receiving.connection(pair);
  const localIsn = connection?.localIsn;
  // The SYN-ACK brings the ISN of the other end
  const remoteIsn = connection?.remoteIsn ?? (segment.isSyn ? segment.sequenceNumber : undefined);
  if (connection === undefined || localIsn === undefined || remoteIsn === undefined) {
    return { kind: "discarded", reason: "isnUnknown", keyId: tcpAo.keyId };
  }
  const isKnown = connection.remoteIsn !== undefined;
  const key = connection.trafficKeys.segmentKey(mkt, "Receive_other_traffic_key", { localIsn, remoteIsn }, isKnown);
  const sne = connection.receiveSne?.peek(segment.sequenceNumber) ?? 0;
  const verified = verifyParsedSegment(receiving.crypto, segment, key, sne);
  if (!verified.ok) return bad(receiving, incoming, verified.error);
  // From here on the segment is authentic, and may change state
  if (!isKnown) connection.setRemoteIsn(remoteIsn);
  connection.receiveSne?.accept(segment.sequenceNumber);
  receiving.counters.add("good");
  connection.count("good", mkt);
  return authenticated(incoming, connection.acceptKeyIds(tcpAo), false);
}

function authenticated(
  incoming: Incoming,
  movedCurrentTo: Mkt | undefined,
  isSynOfOtherConnection: boolean,
): Authenticated {
  const { segment, mkt, tcpAo } = incoming;
  const { keyId, rNextKeyId } = tcpAo;
  const moved = movedCurrentTo === undefined ? {} : { movedCurrentTo };
  return { kind: "authenticated", segment, mkt, keyId, rNextKeyId, ...moved, isSynOfOtherConnection };
}

function bad(receiving: Receiving, incoming: Incoming, refusal: SegmentRefusal): Discarded {
  receiving.counters.add("bad");
  receiving.connection(incoming.pair)?.count("bad", incoming.mkt);
  return { kind: "discarded", reason: "bad", keyId: incoming.tcpAo.keyId, refusal };
}

function badChecksum(segment: TcpSegment): Discarded {
  const offset = segment.tcpOffset + TCP_CHECKSUM_OFFSET;
  const refusal = segmentRefusal("badTcpChecksum", offset, "RFC 9293 section 3.1", "the TCP checksum is wrong");
  return { kind: "discarded", reason: "malformed", refusal };
}

function count(receiving: Receiving, pair: SocketPair, what: keyof TcpAoCounters): void {
  receiving.counters.add(what);
  receiving.connection(pair)?.counters.add(what);
}

function incomingPair(segment: TcpSegment): SocketPair {
  return {
    localAddress: copyOf(segment.destinationAddress),
    localPort: segment.destinationPort,
    remoteAddress: copyOf(segment.sourceAddress),
    remotePort: segment.sourcePort,
  };
}
