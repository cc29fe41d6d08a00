/** What `karp show … --json` prints and the control API answers. Instants RFC 3339 UTC with milliseconds, durations in seconds. */
import type { KeyTableView } from "./keytable/view.ts";

export interface PeerView {
  readonly peer: string;
  readonly localIdentity: string;
  readonly remoteIdentity: string;
  readonly remote: string;
  readonly ikeSa: "none" | "connecting" | "established";
  readonly role?: "initiator" | "responder";
  readonly suite?: string;
  readonly establishedAt?: string;
  readonly speaksKarp?: boolean;
  readonly credential?: string;
  readonly sessions: readonly string[];
  readonly lastFailure?: { readonly at: string; readonly text: string };
}

export interface SessionView {
  readonly session: string;
  readonly protocol: string;
  readonly peer: string;
  readonly driver: string;
  readonly mode: string;
  readonly local: string;
  readonly remote: string;
  readonly safe: boolean;
  /** One sentence: protected with what, or why not. */
  readonly safety: string;
  readonly connections?: number;
  readonly currentKey?: string;
  readonly rollover: RolloverView;
}

export interface RolloverView {
  readonly session: string;
  /** idle, wanted, negotiating, held, installed, preferred, retiring, frozen, failed, foreign. */
  readonly step: string;
  readonly since?: string;
  readonly waitingFor?: { readonly whom: string; readonly since: string; readonly reason: string };
  readonly nextAt?: string;
  readonly softDeadline?: string;
  readonly hardDeadline?: string;
  readonly atHardDeadline?: string;
  /** When the peer means to replace the newest key, and to let it go: a hint that it gave, until we restart. */
  readonly peerSoftDeadline?: string;
  readonly peerHardDeadline?: string;
  /** No rollover begins before, because somebody here or at the peer froze them. */
  readonly frozenUntil?: string;
  readonly peerFrozenUntil?: string;
  readonly completed: number;
  /** The next command to type, when there is something to do. */
  readonly nextCommand?: string;
  readonly timeline: readonly { readonly at: string; readonly text: string }[];
}

export interface KeyView {
  readonly adminKeyName: string;
  readonly session: string;
  /** Decimal. */
  readonly sendId: number;
  readonly recvId: number;
  readonly algorithm: string;
  readonly coversTcpOptions: boolean;
  readonly fingerprint: string;
  readonly state: string;
  readonly createdBy: string;
  readonly peerIdentity: string;
  /** Of a key in a chain: from when on it is sent with and accepted. */
  readonly sendFrom?: string;
  readonly acceptFrom?: string;
  readonly peerState: string;
  readonly peerReason?: string;
  readonly history: Readonly<Record<string, string>>;
  readonly softExpiresAt?: string;
  readonly hardExpiresAt?: string;
}

export interface DaemonViews {
  readonly peers: readonly PeerView[];
  readonly sessions: readonly SessionView[];
  readonly keys: readonly KeyView[];
  readonly keytable: readonly KeyTableView[];
  readonly rollovers: readonly RolloverView[];
}
