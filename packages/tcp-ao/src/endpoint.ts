import { TcpAoConnection } from "./connection.ts";
import type { SocketPair } from "./connectionIdentifier.ts";
import { Counters, type TcpAoCounters } from "./counters.ts";
import type { TcpAoCrypto } from "./crypto.ts";
import { TcpAoUsageError } from "./errors.ts";
import { formatAddress } from "./ipAddress.ts";
import type { MasterKeyTuple, Mkt } from "./mkt.ts";
import { MktTable } from "./mktTable.ts";
import { receiveSegment, type Verdict } from "./receive.ts";
import { type Outgoing, sendSegment } from "./send.ts";

export interface EndpointOptions {
  readonly crypto: TcpAoCrypto;
  /**
   * What happens to segments of connections for which no MKT is installed. "accept" is what RFC 5925 section 7.3 wants
   * as a default; "discard" takes nothing but authenticated segments.
   */
  readonly unmatched?: "accept" | "discard";
  /** Discard segments whose TCP checksum is wrong (RFC 5925 section 7.3). Default: true. */
  readonly validatesChecksum?: boolean;
}

/** A connection whose ISNs are known already, or will be seen in its SYN segments. */
export interface OpenConnection {
  readonly localIsn?: number;
  readonly remoteIsn?: number;
  /** Default: the preferred MKT, else the one that was installed first. */
  readonly currentKey?: Mkt;
  /** Default: as `currentKey`. */
  readonly rnextKey?: Mkt;
}

/** What takes the place of an MKT that is removed. */
export interface Replacement {
  readonly currentKey?: Mkt;
  readonly rnextKey?: Mkt;
}

/**
 * TCP-AO of one host (RFC 5925): the installed MKTs, and current_key, rnext_key, SNEs and traffic keys of each
 * connection. No kernel takes part: whole IP packets go in and out.
 *
 * Nothing that fails authentication changes anything but counters.
 */
export class TcpAoEndpoint {
  readonly #options: Required<EndpointOptions>;
  readonly #table = new MktTable();
  readonly #connections = new Map<string, TcpAoConnection>();
  readonly #counters = new Counters();
  #preferred: Mkt | undefined;

  constructor(options: EndpointOptions) {
    this.#options = { unmatched: "accept", validatesChecksum: true, ...options };
  }

  /**
   * Installs an MKT, for connections that exist as well (RFC 5925 section 7.1). Nothing uses it yet.
   * @throws TcpAoUsageError `overlappingSendId`, `overlappingRecvId`, `badKeyId`, `badMasterKey`, `badConnectionIdentifier`
   */
  addMkt(tuple: MasterKeyTuple): Mkt {
    return this.#table.add(tuple);
  }

  /**
   * Removes an MKT and erases its key. An MKT that affects a connection cannot be destroyed (RFC 5925 section 3.1), so
   * one that is current_key or rnext_key is refused, unless a replacement for that role is named.
   * @throws TcpAoUsageError `unknownMkt`, `mktInUse`, `mktDoesNotMatch`; then nothing has changed
   */
  removeMkt(mkt: Mkt, replacement: Replacement = {}): void {
    this.#table.assertInstalled(mkt);
    const connections = [...this.#connections.values()];
    for (const connection of connections) this.#assertReplaceable(connection, mkt, replacement);
    for (const connection of connections) {
      if (connection.currentKey === mkt && replacement.currentKey) connection.setCurrent(replacement.currentKey.sendId);
      if (connection.rnextKey === mkt && replacement.rnextKey) connection.setRnext(replacement.rnextKey.recvId);
      connection.forget(mkt);
    }
    if (this.#preferred === mkt) this.#preferred = undefined;
    this.#table.remove(mkt);
  }

  /** The installed MKTs, in the order of installation. */
  mkts(): readonly Mkt[] {
    return [...this.#table.all()];
  }

  /** New connections that this end opens begin with this MKT, where it matches. Existing ones do not change. */
  prefer(mkt: Mkt): void {
    this.#table.assertInstalled(mkt);
    this.#preferred = mkt;
  }

  /**
   * Makes the parameters of a connection. Only needed where no SYN segment passes through this endpoint.
   * @throws TcpAoUsageError `connectionExists`, `noMatchingMkt`, `mktDoesNotMatch`
   */
  open(pair: SocketPair, options: OpenConnection = {}): TcpAoConnection {
    if (this.connection(pair)) throw new TcpAoUsageError("connectionExists", "this connection is open already");
    const connection = this.#create(pair, options);
    if (options.localIsn !== undefined) connection.setLocalIsn(options.localIsn);
    if (options.remoteIsn !== undefined) connection.setRemoteIsn(options.remoteIsn);
    this.#connections.set(connectionName(pair), connection);
    return connection;
  }

  connection(pair: SocketPair): TcpAoConnection | undefined {
    return this.#connections.get(connectionName(pair));
  }

  connections(): readonly TcpAoConnection[] {
    return [...this.#connections.values()];
  }

  /** The connection is CLOSED: its keys and counters go. */
  close(pair: SocketPair): void {
    const connection = this.connection(pair);
    for (const mkt of this.#table.all()) connection?.forget(mkt);
    this.#connections.delete(connectionName(pair));
  }

  /** What happened to segments of all connections, and to those of none. */
  counters(): TcpAoCounters {
    return this.#counters.read();
  }

  /** Adds TCP-AO to an outgoing packet (RFC 5925 section 7.4). The source is this end. */
  send(packet: Uint8Array): Outgoing {
    return sendSegment(
      {
        crypto: this.#options.crypto,
        connection: (pair) => this.connection(pair),
        hasMkt: (pair) => this.#table.matching(pair).length > 0,
        create: (pair) => this.#create(pair, {}),
        commit: (connection) => this.#connections.set(connectionName(connection.pair), connection),
      },
      packet,
    );
  }

  /** Checks an incoming packet (RFC 5925 section 7.5). The destination is this end. Never throws on any octets. */
  receive(packet: Uint8Array): Verdict {
    return receiveSegment(
      {
        ...this.#options,
        counters: this.#counters,
        connection: (pair) => this.connection(pair),
        matching: (pair) => this.#table.matching(pair),
        create: (pair, options) => this.#create(pair, options),
        commit: (connection) => this.#connections.set(connectionName(connection.pair), connection),
      },
      packet,
    );
  }

  #create(pair: SocketPair, options: OpenConnection): TcpAoConnection {
    const [first] = this.#table.matching(pair);
    const preferred = this.#preferred?.matches(pair) ? this.#preferred : first;
    const currentKey = options.currentKey ?? preferred;
    if (currentKey === undefined) throw new TcpAoUsageError("noMatchingMkt", "no MKT is installed for this connection");
    const rnextKey = options.rnextKey ?? currentKey;
    for (const mkt of [currentKey, rnextKey]) this.#assertUsable(mkt, pair);
    const installed = (): readonly Mkt[] => this.#table.all();
    return new TcpAoConnection({ crypto: this.#options.crypto, pair, currentKey, rnextKey, installed });
  }

  #assertReplaceable(connection: TcpAoConnection, mkt: Mkt, replacement: Replacement): void {
    for (const role of ["currentKey", "rnextKey"] as const) {
      if (connection[role] !== mkt) continue;
      const successor = replacement[role];
      if (successor === undefined || successor === mkt) {
        const message = `the MKT (SendID ${mkt.sendId}, RecvID ${mkt.recvId}) is ${role} of a connection; name its replacement`;
        throw new TcpAoUsageError("mktInUse", message);
      }
      this.#assertUsable(successor, connection.pair);
    }
  }

  #assertUsable(mkt: Mkt, pair: SocketPair): void {
    this.#table.assertInstalled(mkt);
    if (!mkt.matches(pair)) throw new TcpAoUsageError("mktDoesNotMatch", "this MKT is for other connections");
  }
}

function connectionName(pair: SocketPair): string {
  const local = `${formatAddress(pair.localAddress)} ${pair.localPort}`;
  return `${local} ${formatAddress(pair.remoteAddress)} ${pair.remotePort}`;
}
