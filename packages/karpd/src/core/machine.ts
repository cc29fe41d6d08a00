/**
 * The contract between DaemonCore (all of karp that has no I/O) and the runtime that drives it.
 * Effects of one `handle` are ordered; `send`, `apply` and `revoke` that depend on a `persist` are emitted only
 * after `persisted` came back, so the runtime may run effects as they come.
 */
import type { CertificateVerdict, Identity, IkeLogEvent, UdpAddress, UnixMilliseconds } from "@karp/ikev2";
import type { ApplyOutcome, DriverKey, ObserveOutcome, RevokeOutcome } from "../ports/routingDriver.ts";
import type { Configuration, SessionConfiguration } from "./configuration.ts";
import type { DaemonEvent } from "./events.ts";
import type { KeyTableChange } from "./keytable/row.ts";

export type DaemonInput =
  | { readonly kind: "datagram"; readonly local: UdpAddress; readonly remote: UdpAddress; readonly data: Uint8Array }
  | { readonly kind: "timeout" }
  | { readonly kind: "persisted"; readonly requestId: number }
  | { readonly kind: "persistFailed"; readonly requestId: number; readonly reason: string }
  | { readonly kind: "applied"; readonly requestId: number; readonly outcome: ApplyOutcome }
  | { readonly kind: "observed"; readonly requestId: number; readonly outcome: ObserveOutcome }
  | { readonly kind: "revoked"; readonly requestId: number; readonly outcome: RevokeOutcome }
  | { readonly kind: "certificateValidated"; readonly requestId: number; readonly verdict: CertificateVerdict }
  /** A segment with an unknown key came in, the kernel does not say from whom: most likely a SYN of a peer (DESIGN section 5). */
  | { readonly kind: "unknownKeySeen" }
  | { readonly kind: "reconfigure"; readonly configuration: Configuration }
  | { readonly kind: "command"; readonly requestId: number; readonly command: Command };

export type DaemonEffect =
  | { readonly kind: "persist"; readonly requestId: number; readonly changes: readonly KeyTableChange[] }
  | { readonly kind: "send"; readonly local: UdpAddress; readonly remote: UdpAddress; readonly data: Uint8Array }
  | {
      readonly kind: "apply";
      readonly requestId: number;
      readonly session: SessionConfiguration;
      readonly keys: readonly DriverKey[];
    }
  | { readonly kind: "observe"; readonly requestId: number; readonly session: SessionConfiguration }
  | {
      readonly kind: "revoke";
      readonly requestId: number;
      readonly session: SessionConfiguration;
      readonly keep: readonly DriverKey[];
    }
  | {
      readonly kind: "validateCertificate";
      readonly requestId: number;
      readonly peer: string;
      readonly remoteIdentity: Identity;
      readonly chain: readonly Uint8Array[];
    }
  | { readonly kind: "event"; readonly event: DaemonEvent }
  | { readonly kind: "log"; readonly event: IkeLogEvent }
  | { readonly kind: "reply"; readonly requestId: number; readonly reply: CommandReply };

/** What people and programs may ask for through the control interface; seed interfaces by their own names. */
export type Command =
  | { readonly kind: "RKMP_generateSA"; readonly session: string }
  | { readonly kind: "RKMP_rekeySA"; readonly session: string }
  /** A connection of the session waits for a key: at most RKMP_generateSA, and often nothing. */
  | { readonly kind: "wanted"; readonly session: string }
  /** The chain of keys for a neighbour without karp: given once, and with `again` as often as somebody answers for it. */
  | { readonly kind: "handout"; readonly session: string; readonly again: boolean; readonly caller: LocalCaller }
  | { readonly kind: "Keytable_getSA"; readonly session: string; readonly caller: LocalCaller }
  | { readonly kind: "Keytable_insertSA"; readonly row: ManualKey; readonly caller: LocalCaller }
  | {
      readonly kind: "Keytable_rekeySA";
      readonly session: string;
      readonly row: ManualKey;
      readonly caller: LocalCaller;
    }
  | { readonly kind: "Keytable_delete"; readonly adminKeyName: string; readonly caller: LocalCaller }
  | { readonly kind: "revoke"; readonly session: string; readonly reason: string }
  | { readonly kind: "freeze"; readonly session?: string; readonly seconds: number }
  | { readonly kind: "thaw"; readonly session?: string }
  /** From now on people carry on with the keys as they are: nothing is negotiated, applied or answered for the session. */
  | { readonly kind: "unmanage"; readonly session: string }
  | { readonly kind: "manage"; readonly session: string };

/** What a neighbour without karp has to configure, as seen from here: its formats mirror addresses and KeyIDs. */
export interface Handout {
  readonly session: string;
  readonly protocol: string;
  readonly port: number;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly vrf?: string;
  /** Counts up: the first chain of a session is 1. */
  readonly chain: number;
  /** In the order of their dates. */
  readonly keys: readonly HandoutKey[];
}

export interface HandoutKey {
  /** Ours: the neighbour's RecvID. */
  readonly sendId: number;
  /** Ours: the neighbour's SendID. */
  readonly recvId: number;
  readonly algorithm: import("./keytable/row.ts").MktAlgorithm;
  readonly coversTcpOptions: boolean;
  /** Printable ASCII. */
  readonly masterKey: import("@karp/ikev2").Secret;
  readonly sendFrom: UnixMilliseconds;
  readonly sendUntil: UnixMilliseconds;
  readonly acceptFrom: UnixMilliseconds;
  readonly acceptUntil: UnixMilliseconds;
}

/** Unix peer credentials of whoever called, for entitlement and audit. */
export interface LocalCaller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/** A key that a person made (RFC 7210 createdBy manual). */
export interface ManualKey {
  readonly session: string;
  readonly sendId: number;
  readonly recvId: number;
  readonly algorithm: import("./keytable/row.ts").MktAlgorithm;
  readonly coversTcpOptions: boolean;
  readonly masterKey: import("@karp/ikev2").Secret;
}

export type CommandReply =
  | {
      readonly ok: true;
      readonly text: string;
      readonly adminKeyName?: string;
      readonly key?: DriverKey;
      readonly handout?: Handout;
    }
  | { readonly ok: false; readonly code: string; readonly text: string };
