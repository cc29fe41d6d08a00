import type { TestContext } from "node:test";
import type { SessionConfiguration } from "../../../src/core/configuration.ts";
import type { MktAlgorithm } from "../../../src/core/keytable/row.ts";
import type { RoutingDriver } from "../../../src/ports/routingDriver.ts";

/** One driver with the cheapest routing daemon behind it that is real enough. */
export interface Subject extends Partial<Situations> {
  readonly driver: RoutingDriver;
  readonly session: SessionConfiguration;
  /** SendIDs that the routing daemon has now. */
  installed(): Promise<readonly number[]>;
  /** The same daemon, a driver that remembers nothing: karp was killed and started again. */
  restarted(): RoutingDriver;
  /** All that was logged. */
  readonly logged: readonly string[];
}

/** What can be done to a driver or its daemon. */
export interface Situations {
  /** Puts something into the daemon's place that karp did not write. */
  readonly putForeign: () => Promise<{ isUntouched(): Promise<boolean> }>;
  /** The next apply fails between writing and activating. */
  readonly crashNextApply: () => void;
  /** The routing daemon ends; the result starts it again. */
  readonly stopDaemon: () => Promise<() => Promise<void>>;
  /** The peer asks for the key with this SendID of ours: it is current_key. */
  readonly peerAsksFor: (sendId: number) => Promise<void>;
  /** Somebody takes karp's keys away from the daemon. */
  readonly loseKeys: () => Promise<void>;
  /** What takes the keys does not know this algorithm. */
  readonly forgetAlgorithm: (algorithm: MktAlgorithm) => void;
  /** The octets of whatever the driver writes, or a count of its writes: equal when nothing was written in between. */
  readonly written: () => Promise<unknown>;
  /** A session whose settings make no sense. */
  readonly withBrokenSettings: () => SessionConfiguration;
}

export interface Kind {
  make(t: TestContext): Promise<Subject>;
  /** Situations that this driver cannot get into, and why. All others must be made by the subject. */
  readonly impossible: Readonly<Partial<Record<keyof Situations, string>>>;
}

/** Settings that no driver has. */
export function withNonsense(session: SessionConfiguration): SessionConfiguration {
  return { ...session, driverSettings: { nonsense: 1 } };
}
