import { copyOf } from "./bytes.ts";
import type { TcpAoConnection } from "./connection.ts";
import type { SocketPair } from "./connectionIdentifier.ts";
import type { TcpAoCrypto } from "./crypto.ts";
import type { SegmentRefusal } from "./errors.ts";
import { isSynWithoutAck, parseSegment, type TcpSegment } from "./segment.ts";
import { signSegment } from "./signSegment.ts";

/** What became of an outgoing packet. */
export type Outgoing =
  | { readonly kind: "signed"; readonly packet: Uint8Array; readonly keyId: number; readonly rNextKeyId: number }
  /** No MKT matches, or a reset of no known connection (RFC 5925 sections 3.3 and 5.2): it goes as it is. */
  | { readonly kind: "unsigned"; readonly packet: Uint8Array }
  | { readonly kind: "refused"; readonly reason: "malformed"; readonly refusal: SegmentRefusal }
  /** The connection is authenticated, but its ISNs were neither seen nor given; or the SYN-ACK has another ISN. */
  | { readonly kind: "refused"; readonly reason: "isnUnknown" };

/** What sending needs of its endpoint. */
export interface Sending {
  readonly crypto: TcpAoCrypto;
  connection(pair: SocketPair): TcpAoConnection | undefined;
  hasMkt(pair: SocketPair): boolean;
  /** A new connection that is not yet the endpoint's. */
  create(pair: SocketPair): TcpAoConnection;
  /** Makes it the endpoint's, in place of any other with the same socket pair. */
  commit(connection: TcpAoConnection): void;
}

interface SigningState {
  readonly connection: TcpAoConnection;
  readonly localIsn: number;
  readonly remoteIsn: number;
}

/** RFC 5925 section 7.4. */
export function sendSegment(sending: Sending, packet: Uint8Array): Outgoing {
  const parsed = parseSegment(packet);
  if (!parsed.ok) return { kind: "refused", reason: "malformed", refusal: parsed.error };
  const segment = parsed.value;
  const pair = outgoingPair(segment);
  const existing = sending.connection(pair);
  // Step 1.a.i: no matching MKT, no TCP-AO
  if (existing === undefined && !sending.hasMkt(pair)) return { kind: "unsigned", packet };
  const state = isSynWithoutAck(segment) ? openingState(sending, existing, segment) : openState(existing, segment);
  if (state !== undefined) return sign(sending, state, segment);
  // "when sending a reset (RST) after a reboot, the segment should be sent without authentication", section 5.2
  return segment.isRst ? { kind: "unsigned", packet } : { kind: "refused", reason: "isnUnknown" };
}

/** A SYN is the first segment of a new connection (step 1.a), unless it is sent again or crosses the peer's. */
function openingState(sending: Sending, existing: TcpAoConnection | undefined, segment: TcpSegment): SigningState {
  const localIsn = segment.sequenceNumber;
  const isSame = existing !== undefined && (existing.localIsn === undefined || existing.localIsn === localIsn);
  const connection = isSame ? existing : sending.create(outgoingPair(segment));
  return { connection, localIsn, remoteIsn: connection.remoteIsn ?? 0 };
}

function openState(connection: TcpAoConnection | undefined, segment: TcpSegment): SigningState | undefined {
  const remoteIsn = connection?.remoteIsn;
  const localIsn = connection?.localIsn ?? (segment.isSyn ? segment.sequenceNumber : undefined);
  if (connection === undefined || remoteIsn === undefined || localIsn === undefined) return undefined;
  if (segment.isSyn && segment.sequenceNumber !== localIsn) return undefined;
  return { connection, localIsn, remoteIsn };
}

/** Step 2. State changes only once the segment is signed. */
function sign(sending: Sending, state: SigningState, segment: TcpSegment): Outgoing {
  const { connection, localIsn, remoteIsn } = state;
  const { currentKey, rnextKey } = connection;
  const isSyn = isSynWithoutAck(segment);
  const name = isSyn ? "Send_SYN_traffic_key" : "Send_other_traffic_key";
  const isns = { localIsn, remoteIsn: isSyn ? 0 : remoteIsn };
  const keyId = currentKey.sendId;
  const rNextKeyId = rnextKey.recvId;
  const signed = signSegment({
    crypto: sending.crypto,
    packet: segment.packet,
    key: connection.trafficKeys.segmentKey(currentKey, name, isns, true),
    keyId,
    rNextKeyId,
    sne: isSyn ? 0 : (connection.sendSne?.peek(segment.sequenceNumber) ?? 0),
  });
  if (!signed.ok) return { kind: "refused", reason: "malformed", refusal: signed.error };
  if (connection.localIsn === undefined) connection.setLocalIsn(localIsn);
  if (!isSyn) connection.sendSne?.accept(segment.sequenceNumber);
  sending.commit(connection);
  return { kind: "signed", packet: signed.value, keyId, rNextKeyId };
}

function outgoingPair(segment: TcpSegment): SocketPair {
  return {
    localAddress: copyOf(segment.sourceAddress),
    localPort: segment.sourcePort,
    remoteAddress: copyOf(segment.destinationAddress),
    remotePort: segment.destinationPort,
  };
}
