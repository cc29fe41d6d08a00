import type { SocketPair } from "./connectionIdentifier.ts";
import { Counters, type KeyCounters, type TcpAoCounters } from "./counters.ts";
import type { TcpAoCrypto } from "./crypto.ts";
import { TcpAoUsageError } from "./errors.ts";
import type { Mkt, MktIds } from "./mkt.ts";
import { SequenceNumberExtension } from "./sequenceNumberExtension.ts";
import { TrafficKeyCache } from "./trafficKeys.ts";

/** The IDs of the TCP-AO option of a segment. */
export interface ReceivedKeyIds {
  readonly keyId: number;
  readonly rNextKeyId: number;
}

/** What the user of a connection may know of its authentication (RFC 5925 section 7.1). */
export interface ConnectionStatus {
  readonly currentKey: MktIds;
  readonly rnextKey: MktIds;
  /** Of the last valid segment. */
  readonly received?: ReceivedKeyIds;
  readonly counters: TcpAoCounters;
  /** All MKTs that match the connection. */
  readonly keys: readonly (MktIds & KeyCounters)[];
}

export interface ConnectionOptions {
  readonly crypto: TcpAoCrypto;
  readonly pair: SocketPair;
  readonly currentKey: Mkt;
  readonly rnextKey: Mkt;
  /** The endpoint's installed MKTs, as they are at the time of the call. */
  readonly installed: () => readonly Mkt[];
}

/** The TCP-AO parameters of one connection, as they live in a TCB (RFC 5925 section 4). An endpoint makes these. */
export class TcpAoConnection {
  readonly pair: SocketPair;
  readonly trafficKeys: TrafficKeyCache;
  readonly counters = new Counters();
  readonly #installed: () => readonly Mkt[];
  readonly #keyCounters = new Map<Mkt, Counters>();
  #currentKey: Mkt;
  #rnextKey: Mkt;
  #local: { readonly isn: number; readonly sne: SequenceNumberExtension } | undefined;
  #remote: { readonly isn: number; readonly sne: SequenceNumberExtension } | undefined;
  #received: ReceivedKeyIds | undefined;

  constructor(options: ConnectionOptions) {
    this.pair = options.pair;
    this.trafficKeys = new TrafficKeyCache(options.crypto, options.pair);
    this.#installed = options.installed;
    this.#currentKey = options.currentKey;
    this.#rnextKey = options.rnextKey;
  }

  /** The MKT that signs outgoing segments. */
  get currentKey(): Mkt {
    return this.#currentKey;
  }

  /** The MKT that the peer is asked to sign with. */
  get rnextKey(): Mkt {
    return this.#rnextKey;
  }

  get localIsn(): number | undefined {
    return this.#local?.isn;
  }

  get remoteIsn(): number | undefined {
    return this.#remote?.isn;
  }

  /** SND.SNE and RCV.SNE start at zero with the connection (RFC 5925 section 6.2). */
  setLocalIsn(isn: number): void {
    this.#local = { isn, sne: new SequenceNumberExtension(isn) };
  }

  setRemoteIsn(isn: number): void {
    this.#remote = { isn, sne: new SequenceNumberExtension(isn) };
  }

  /** SND.SNE; undefined while the local ISN is unknown. */
  get sendSne(): SequenceNumberExtension | undefined {
    return this.#local?.sne;
  }

  /** RCV.SNE; undefined while the remote ISN is unknown. */
  get receiveSne(): SequenceNumberExtension | undefined {
    return this.#remote?.sne;
  }

  /**
   * Asks the peer to sign with another MKT. "Rnext_key is changed only by manual user intervention or MKT management
   * protocol operation" (RFC 5925 section 6.1): this is that operation.
   * @throws TcpAoUsageError `unknownMkt`
   */
  setRnext(recvId: number): void {
    this.#rnextKey = this.#required("RecvID", recvId, ({ recvId: own }) => own === recvId);
  }

  /**
   * Signs with another MKT from now on, asked or not (RFC 5925 section 7.1).
   * @throws TcpAoUsageError `unknownMkt`
   */
  setCurrent(sendId: number): void {
    this.#currentKey = this.#required("SendID", sendId, ({ sendId: own }) => own === sendId);
  }

  /**
   * A valid segment came with these IDs. Current_key moves to the MKT whose SendID is the RNextKeyID, if one is
   * installed (RFC 5925 section 7.5, step 2.e); moving back is legal (section 6.1).
   * @returns the new current_key, if it moved
   */
  acceptKeyIds({ keyId, rNextKeyId }: ReceivedKeyIds): Mkt | undefined {
    this.#received = { keyId, rNextKeyId };
    if (rNextKeyId === this.#currentKey.sendId) return undefined;
    const next = this.matching().find(({ sendId }) => sendId === rNextKeyId);
    if (next !== undefined) this.#currentKey = next;
    return next;
  }

  /** The installed MKTs that apply to this connection. */
  matching(): readonly Mkt[] {
    return this.#installed().filter((mkt) => mkt.matches(this.pair));
  }

  count(what: "good" | "bad", mkt: Mkt): void {
    this.counters.add(what);
    const counters = this.#keyCounters.get(mkt) ?? new Counters();
    counters.add(what);
    this.#keyCounters.set(mkt, counters);
  }

  forget(mkt: Mkt): void {
    this.trafficKeys.forget(mkt);
    this.#keyCounters.delete(mkt);
  }

  status(): ConnectionStatus {
    return {
      currentKey: ids(this.#currentKey),
      rnextKey: ids(this.#rnextKey),
      ...(this.#received && { received: this.#received }),
      counters: this.counters.read(),
      keys: this.matching().map((mkt) => ({ ...ids(mkt), ...this.#keyCount(mkt) })),
    };
  }

  #keyCount(mkt: Mkt): KeyCounters {
    const { good, bad } = this.#keyCounters.get(mkt)?.read() ?? { good: 0, bad: 0 };
    return { good, bad };
  }

  #required(what: string, id: number, isIt: (mkt: Mkt) => boolean): Mkt {
    const mkt = this.matching().find(isIt);
    if (mkt === undefined) {
      throw new TcpAoUsageError("unknownMkt", `no MKT with ${what} ${id} is installed for this connection`);
    }
    return mkt;
  }
}

function ids({ sendId, recvId }: MktIds): MktIds {
  return { sendId, recvId };
}
