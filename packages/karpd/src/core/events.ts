import type { UnixMilliseconds } from "@karp/ikev2";

export type Severity = "info" | "warning" | "alarm";

/**
 * Something that happened, for logs, `karp show events`, the event stream and audits. `text` is one sentence for people;
 * `data` holds the same facts for programs. Never a key: keys appear as fingerprints only.
 */
export interface DaemonEvent {
  readonly name: EventName;
  readonly at: UnixMilliseconds;
  readonly severity: Severity;
  readonly session?: string;
  readonly peer?: string;
  readonly adminKeyName?: string;
  readonly text: string;
  readonly data: Readonly<Record<string, string | number | boolean | undefined>>;
}

export type EventName =
  | "started"
  | "stopping"
  | "configured"
  | "ikeSaEstablished"
  | "ikeSaRekeyed"
  | "ikeSaClosed"
  | "ikeSaFailed"
  | "peerRejected"
  | "mktNegotiated"
  | "mktState"
  | "mktFailed"
  | "peerKeyState"
  | "rolloverStarted"
  | "rolloverCompleted"
  | "rolloverHeldBack"
  | "driverPending"
  | "driverRefused"
  | "driverLost"
  | "driverForeign"
  | "driverRecovered"
  | "driverDrifted"
  | "unmanaged"
  | "managed"
  | "keyIdsExhausted"
  | "hardExpired"
  | "orphanRemoved"
  | "frozen"
  | "thawed"
  | "revoked"
  | "RP_revokeSA"
  | "keyRead"
  | "keysHandedOut"
  | "handoutDue"
  | "neighbourLate"
  | "keyInserted"
  | "keyDeleted"
  | "storeFailed"
  | "storeRecovered"
  | "clockStepped";
