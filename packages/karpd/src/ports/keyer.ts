import type { ApplyOutcome, DriverFinding, DriverKey, ObserveOutcome, RevokeOutcome } from "./routingDriver.ts";

/** Keys the sockets of other processes. The work is done in a process of its own, the only one with capabilities. */
export interface Keyer {
  /** Makes the keys of the session's sockets equal to `keys`, now and for sockets that come later. */
  apply(session: string, keys: readonly DriverKey[]): Promise<ApplyOutcome>;
  observe(session: string): Promise<ObserveOutcome>;
  /** Removes every key of ours but `keep`, closing the connections that use one. */
  revoke(session: string, keep: readonly DriverKey[]): Promise<RevokeOutcome>;
  examine(session: string): Promise<readonly DriverFinding[]>;
  /** A connect() of this session is held until there is a key. */
  onWanted(listener: (session: string) => void): void;
  close(): Promise<void>;
}
