import type { IkePeer } from "@karp/ikev2";
import type { MktAlgorithm } from "./keytable/row.ts";

/** What the cores know of the configuration file, already checked; secrets and keys are loaded. Durations in seconds. */
export interface Configuration {
  readonly router: string;
  /** One per remote identity; several sessions may share one. */
  readonly peers: readonly IkePeer[];
  readonly sessions: readonly SessionConfiguration[];
}

export type SessionMode = "observe" | "opportunistic" | "required";

export interface SessionConfiguration {
  /** `[a-z0-9._-]{1,63}`. */
  readonly name: string;
  /** "bgp", "ldp", "msdp", "pcep", "rpki-rtr". */
  readonly protocol: string;
  readonly port: number;
  readonly driver: string;
  /** Driver's own settings, checked by the driver's schema: opaque here. */
  readonly driverSettings: Readonly<Record<string, unknown>>;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly vrf?: string;
  /** IkePeer.name; "none" in solo mode. */
  readonly peer: string;
  /** `peer: none`: the neighbour has no karp, and gets a chain of dated keys instead. */
  readonly solo?: SoloConfiguration;
  readonly mode: SessionMode;
  /** When the first key is negotiated: at once (the default), or when a connection wants one (command `wanted`). */
  readonly start?: "always" | "on-demand";
  /** In order of preference. */
  readonly algorithms: readonly MktAlgorithm[];
  /** "covered", "omitted", or both in order of preference. */
  readonly tcpOptions: readonly ("covered" | "omitted")[];
  readonly pfs: boolean;
  /** KeyIDs (RecvIDs and SendIDs) that people use for keys of their own: never chosen. */
  readonly reservedKeyIds: readonly number[];
  /** User ids of local programs that may read this session's keys, besides root and karp itself. */
  readonly keyReaders: readonly number[];
  readonly rollover: RolloverConfiguration;
  /** At hard expiry without successor. */
  readonly onExpiry: "keep-and-alarm" | "fail-closed";
}

export interface SoloConfiguration {
  /** How many keys one chain has. */
  readonly keys: number;
  /** For how long each of them is sent with. */
  readonly everySeconds: number;
}

export interface RolloverConfiguration {
  readonly everySeconds: number;
  /** Jitter as a part of `everySeconds`, 0.1 for +- 10 %. */
  readonly jitter: number;
  /** Daily window in UTC, minutes since midnight; undefined: any time. */
  readonly window?: { readonly startMinute: number; readonly endMinute: number };
  readonly hardSeconds: number;
  readonly drainSeconds: number;
  readonly keepOldSeconds: number;
  readonly settleSeconds: number;
  readonly quarantineSeconds: number;
  readonly orphanSeconds: number;
  /** How long a preferred key may take to come into use before it is withdrawn (DESIGN section 5 step 4). */
  readonly preferTimeoutSeconds: number;
}
