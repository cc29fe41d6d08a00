import { isMacAlgorithm, type MacAlgorithm } from "./algorithms.ts";
import {
  assertConnectionIdentifier,
  type ConnectionIdentifier,
  matchesConnection,
  type SocketPair,
} from "./connectionIdentifier.ts";
import { TcpAoUsageError } from "./errors.ts";
import { Secret } from "./secret.ts";
import { assertKeyId } from "./signSegment.ts";

/** The two IDs of an MKT (RFC 5925 section 3.1). */
export interface MktIds {
  /** KeyID of outgoing segments. */
  readonly sendId: number;
  /** Matched against the KeyID of incoming segments. */
  readonly recvId: number;
}

/** What a key manager installs: all components of an MKT (RFC 5925 section 3.1). */
export interface MasterKeyTuple extends MktIds {
  readonly connectionIdentifier: ConnectionIdentifier;
  /** The TCP option flag: whether options other than TCP-AO are in the MAC. Default: true. */
  readonly coversTcpOptions?: boolean;
  /** Names the MAC and with it the KDF. */
  readonly algorithm: MacAlgorithm;
  /** Copied on installation; 1 octet or more. */
  readonly masterKey: Uint8Array;
}

/**
 * An installed MKT: the handle by which it is replaced or removed. "Components of an MKT MUST NOT change during a
 * connection" (RFC 5925 section 3.1), so none can. It prints without its key.
 */
export class Mkt implements MktIds {
  readonly sendId: number;
  readonly recvId: number;
  readonly algorithm: MacAlgorithm;
  readonly coversTcpOptions: boolean;
  readonly connectionIdentifier: ConnectionIdentifier;
  readonly #masterKey: Secret;

  constructor(tuple: MasterKeyTuple) {
    assertKeyId(tuple.sendId);
    assertKeyId(tuple.recvId);
    assertConnectionIdentifier(tuple.connectionIdentifier);
    if (!isMacAlgorithm(tuple.algorithm)) throw new TcpAoUsageError("badMasterKey", "unknown MAC algorithm");
    if (tuple.masterKey.length === 0) throw new TcpAoUsageError("badMasterKey", "a master key has at least one octet");
    this.sendId = tuple.sendId;
    this.recvId = tuple.recvId;
    this.algorithm = tuple.algorithm;
    this.coversTcpOptions = tuple.coversTcpOptions ?? true;
    this.connectionIdentifier = tuple.connectionIdentifier;
    this.#masterKey = new Secret(tuple.masterKey);
  }

  matches(pair: SocketPair): boolean {
    return matchesConnection(this.connectionIdentifier, pair);
  }

  /** Lends the master key to `use`, which must not keep it. */
  exposeMasterKey<T>(use: (masterKey: Uint8Array) => T): T {
    return this.#masterKey.expose(use);
  }

  /** Overwrites the key; the endpoint does this on removal. */
  erase(): void {
    this.#masterKey.erase();
  }
}
