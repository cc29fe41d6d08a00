import type { Secret, UnixMilliseconds } from "@karp/ikev2";

/** Life of an MKT (DESIGN section 5). `wanted` and `negotiating` have no row yet; they exist in memory only. */
export type MktState = "held" | "installed" | "preferred" | "current" | "retiring" | "removed" | "failed";

/** TCP-AO algorithm, named as in RFC 5926 (and our offered extra). */
export type MktAlgorithm = "aes-128-cmac-96" | "hmac-sha-1-96" | "hmac-sha-256-128";

export type CreatedBy = "ike" | "manual" | "adopted" | "placeholder" | "solo" | "group";

/**
 * One row of the key table: RFC 7210 section 2 fields and our own columns.
 * For a TCP-AO MKT: LocalKeyName is the RecvID, PeerKeyName the SendID (RFC 7210 section 4; printed as two hex digits).
 * Times are wall clock; undefined means without end (or not yet).
 */
export interface KeyTableRow {
  /** AdminKeyName: `<session>/<16 hex of a random id>`, unique. */
  readonly adminKeyName: string;
  readonly session: string;
  readonly recvId: number;
  readonly sendId: number;
  /** Peers: the address of the far end. */
  readonly peers: readonly string[];
  /** Interfaces: "all" unless bound to one. */
  readonly interfaces: string;
  /** Protocol: "TCP-AO"; the routing protocol and port stand in protocolSpecificInfo. */
  readonly protocol: string;
  readonly protocolSpecificInfo: {
    readonly routingProtocol: string;
    readonly port: number;
    readonly localAddress: string;
    readonly remoteAddress: string;
    readonly coversTcpOptions: boolean;
    readonly vrf?: string;
  };
  readonly algorithm: MktAlgorithm;
  /** Undefined only in the tombstone of a removed MKT, which keeps its KeyIDs in quarantine. */
  readonly key?: Secret;
  readonly direction: "in" | "out" | "both" | "disabled";
  readonly sendLifetimeStart?: UnixMilliseconds;
  readonly sendLifetimeEnd?: UnixMilliseconds;
  readonly acceptLifetimeStart: UnixMilliseconds;
  readonly acceptLifetimeEnd?: UnixMilliseconds;
  // Beyond RFC 7210:
  readonly state: MktState;
  readonly createdBy: CreatedBy;
  readonly localIdentity: string;
  readonly peerIdentity: string;
  /** Name of the credential that the peer authenticated with: "psk:…" or "sha256:…". */
  readonly credentialFingerprint: string;
  /** Counts up with each change of the row; part of the sealed row's associated data. */
  readonly generation: number;
  /** AdminKeyName of the MKT that this one replaces. */
  readonly replaces?: string;
  /** Moments at which the states were entered. */
  readonly history: Readonly<Partial<Record<MktState, UnixMilliseconds>>>;
  /** Last KEY_STATE from the peer about this MKT. */
  readonly peerState: number;
  readonly peerReason: string;
  /** Last KEY_STATE that the peer acknowledged from us. */
  readonly toldState: number;
  /** D was sent and answered, or received (the peer will not prefer it again). */
  readonly deleteAnsweredAt?: UnixMilliseconds;
  readonly peerDeletedAt?: UnixMilliseconds;
  /** Removed rows: the KeyIDs rest until then. */
  readonly quarantineUntil?: UnixMilliseconds;
  readonly softExpiresAt?: UnixMilliseconds;
  readonly hardExpiresAt?: UnixMilliseconds;
}

/** A change of the stored key table. Changes of one `persist` effect are one transaction. */
export type KeyTableChange =
  | { readonly kind: "put"; readonly row: KeyTableRow }
  | { readonly kind: "delete"; readonly adminKeyName: string }
  /** Small facts that must survive, one string each: "freeze:<session>" and their kin. */
  | { readonly kind: "setFact"; readonly name: string; readonly value: string }
  | { readonly kind: "deleteFact"; readonly name: string };

/** Everything in the store, as read at start. */
export interface KeyTableSnapshot {
  readonly rows: readonly KeyTableRow[];
  readonly facts: ReadonlyMap<string, string>;
}
