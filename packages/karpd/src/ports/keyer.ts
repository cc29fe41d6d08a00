import type { ApplyOutcome, DriverFinding, DriverKey, ObserveOutcome, RevokeOutcome } from "./routingDriver.ts";

/** Keys the sockets of other processes. The work is done in a process of its own, the only one with capabilities. */
export interface Keyer {
  /** Makes the keys of the session's sockets equal to `keys`, now and for sockets that come later. */
  apply(session: string, keys: readonly DriverKey[]): Promise<ApplyOutcome>;
  observe(session: string): Promise<ObserveOutcome>;
  /** Removes every key of ours but `keep`, closing the connections that use one. */
  revoke(session: string, keep: readonly DriverKey[]): Promise<RevokeOutcome>;
  examine(session: string): Promise<readonly DriverFinding[]>;
  /** How the session's sockets are protected just now, for `karp migrate`. */
  survey(session: string): Promise<SocketSurvey>;
  /** A connect() of this session is held until there is a key. */
  onWanted(listener: (session: string) => void): void;
  close(): Promise<void>;
}

/** What protects the sockets of one session. */
export interface SocketSurvey {
  /** A connection of the session is established, whatever protects it. */
  readonly isUp: boolean;
  /** An established connection is signed with a key of karp's. */
  readonly isKeyed: boolean;
  /** A listener or a connection has a TCP MD5 key for the neighbour. */
  readonly hasMd5: boolean;
  /** SendIDs and RecvIDs of TCP-AO keys for the neighbour that karp did not install. */
  readonly othersKeyIds: readonly number[];
  /** karpd has given keys, which go onto the sockets as soon as they can. */
  readonly hasKeys: boolean;
}
