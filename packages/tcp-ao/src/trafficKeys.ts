import type { SocketPair } from "./connectionIdentifier.ts";
import type { TcpAoCrypto } from "./crypto.ts";
import type { SegmentKey } from "./mac.ts";
import type { Mkt } from "./mkt.ts";
import { deriveTrafficKey } from "./trafficKey.ts";

/** The four traffic keys of an MKT on one connection (RFC 5925 section 3.2). */
export type TrafficKeyName =
  | "Send_SYN_traffic_key"
  | "Receive_SYN_traffic_key"
  | "Send_other_traffic_key"
  | "Receive_other_traffic_key";

/** The ISNs of both ends. For SYN keys, that of the segment's destination is not used. */
export interface Isns {
  readonly localIsn: number;
  readonly remoteIsn: number;
}

/** Derives traffic keys and remembers them (RFC 5925 section 4: they may be cached per connection). */
export class TrafficKeyCache {
  readonly #crypto: TcpAoCrypto;
  readonly #pair: SocketPair;
  readonly #keys = new Map<Mkt, Map<string, Uint8Array>>();

  constructor(crypto: TcpAoCrypto, pair: SocketPair) {
    this.#crypto = crypto;
    this.#pair = pair;
  }

  /** What signs or verifies a segment of this connection. Only keys of known (authenticated) ISNs should be kept. */
  segmentKey(mkt: Mkt, name: TrafficKeyName, isns: Isns, keep: boolean): SegmentKey {
    const { algorithm, coversTcpOptions } = mkt;
    const cacheKey = `${name} ${isns.localIsn} ${isns.remoteIsn}`;
    const trafficKey = this.#keys.get(mkt)?.get(cacheKey) ?? this.#derive(mkt, name, isns);
    if (keep) this.#remember(mkt, cacheKey, trafficKey);
    return { algorithm, coversTcpOptions, trafficKey };
  }

  /** Drops the keys of an MKT that was removed. */
  forget(mkt: Mkt): void {
    for (const key of this.#keys.get(mkt)?.values() ?? []) key.fill(0);
    this.#keys.delete(mkt);
  }

  #remember(mkt: Mkt, cacheKey: string, trafficKey: Uint8Array): void {
    const keys = this.#keys.get(mkt) ?? new Map<string, Uint8Array>();
    this.#keys.set(mkt, keys.set(cacheKey, trafficKey));
  }

  /** The table of RFC 5925 section 5.2. */
  #derive(mkt: Mkt, name: TrafficKeyName, { localIsn, remoteIsn }: Isns): Uint8Array {
    const { localAddress, localPort, remoteAddress, remotePort } = this.#pair;
    const isSending = name.startsWith("Send");
    const isSyn = name.endsWith("SYN_traffic_key");
    const context = {
      sourceAddress: isSending ? localAddress : remoteAddress,
      destinationAddress: isSending ? remoteAddress : localAddress,
      sourcePort: isSending ? localPort : remotePort,
      destinationPort: isSending ? remotePort : localPort,
      sourceIsn: isSending ? localIsn : remoteIsn,
      // "SYN segments (SYN set, no ACK set) MUST use a destination ISN of zero", RFC 5925 section 5.2
      destinationIsn: isSyn ? 0 : isSending ? remoteIsn : localIsn,
    };
    return mkt.exposeMasterKey((masterKey) => deriveTrafficKey(this.#crypto, mkt.algorithm, masterKey, context));
  }
}
