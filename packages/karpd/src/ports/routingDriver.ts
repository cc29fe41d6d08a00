import type { Secret } from "@karp/ikev2";
import type { SessionConfiguration } from "../core/configuration.ts";
import type { MktAlgorithm } from "../core/keytable/row.ts";

/** One key as a driver sees it. `accept`: accepted, not asked for; `preferred`: rnext_key and new connections; `deprecated`: on its way out. */
export interface DriverKey {
  readonly adminKeyName: string;
  readonly sendId: number;
  readonly recvId: number;
  readonly algorithm: MktAlgorithm;
  readonly coversTcpOptions: boolean;
  readonly masterKey: Secret;
  readonly use: "accept" | "preferred" | "deprecated";
  /** A random key that nobody else has: it only keeps a session of mode required closed until its first MKT. */
  readonly isPlaceholder?: true;
}

export type ApplyOutcome =
  /** Every key is accepted by the routing daemon now. */
  | { readonly kind: "installed" }
  /** Not yet, and not our fault: somebody's edit or undo is pending, the daemon is down. Tried again; `reason` is shown. */
  | {
      readonly kind: "pending";
      readonly reason: string;
      /** It goes in by then whether it is tried again or not: no failure, and no use in asking before. */
      readonly againAfterSeconds?: number;
    }
  /** Not possible as asked (algorithm the kernel lacks, daemon too old, include missing): a sentence that says what to do. */
  | { readonly kind: "refused"; readonly reason: string; readonly adminKeyNames?: readonly string[] }
  /** Keys that were installed are gone from the daemon. */
  | { readonly kind: "lost"; readonly reason: string }
  /** Keys that are not ours are in use for this session: left alone. */
  | { readonly kind: "foreign"; readonly reason: string };

/** What the routing daemon does now. Absent is not zero: a field that the driver cannot read is missing. */
export interface Observation {
  /** Connections of this session that carry TCP-AO and are established. */
  readonly connections?: number;
  /** SendID of current_key. */
  readonly currentSendId?: number;
  /** RecvID of rnext_key. */
  readonly rnextRecvId?: number;
  /** Segments that verified, by RecvID. Counters may restart with a connection. */
  readonly goodByRecvId?: ReadonlyMap<number, number>;
  /** All segments that verified, when the daemon has no counter per key. */
  readonly goodTotal?: number;
  readonly badTotal?: number;
  /** KeyID of the last valid segment received. */
  readonly receivedKeyId?: number;
  /** KeyIDs (RecvIDs) that the daemon has for this session, when it tells. */
  readonly recvIdsPresent?: readonly number[];
  /** When the session came up, in the daemon's own words. */
  readonly establishedSince?: string;
  /** What differs from what the driver last wrote, or is left over from it, as a sentence: `apply` is due. */
  readonly drift?: string;
}

export type ObserveOutcome =
  | { readonly kind: "observed"; readonly observation: Observation }
  | { readonly kind: "unavailable"; readonly reason: string };

export type RevokeOutcome = { readonly kind: "revoked" } | { readonly kind: "failed"; readonly reason: string };

export type ReleaseOutcome =
  /** How a person carries on, one sentence each. */
  | { readonly kind: "released"; readonly carryOn: readonly string[] }
  | { readonly kind: "failed"; readonly reason: string };

/** Puts keys into one kind of routing daemon (DESIGN section 6). Calls for one session never overlap; for different sessions they may. */
export interface RoutingDriver {
  readonly name: string;
  /** False: `observe` can tell nothing, and the session never becomes current by time alone. */
  readonly observes: boolean;
  /** Makes the daemon's keys equal to `keys` (ours; foreign ones are not touched). Idempotent. Never rejects. */
  apply(session: SessionConfiguration, keys: readonly DriverKey[]): Promise<ApplyOutcome>;
  observe(session: SessionConfiguration): Promise<ObserveOutcome>;
  /** Removes `revoked` keys for good, ending the session if it must; resolves when no connection uses them. `keep` stay. */
  revoke(session: SessionConfiguration, keep: readonly DriverKey[]): Promise<RevokeOutcome>;
  /**
   * Leaves the session's keys to people, for `karp unmanage`: what is in place stays, and is theirs to change. Needs
   * neither the daemon nor the peer. `apply` takes them over again. Absent: there is nothing to be done in its place.
   */
  release?(session: SessionConfiguration, at: string): Promise<ReleaseOutcome>;
  /** For `karp check` and `karp doctor`: what is wrong with the set-up of this session, and what to do. */
  examine(session: SessionConfiguration): Promise<readonly DriverFinding[]>;
  close(): Promise<void>;
}

export interface DriverFinding {
  readonly severity: "ok" | "warning" | "error";
  /** One sentence: what, where, what to do. */
  readonly text: string;
}
