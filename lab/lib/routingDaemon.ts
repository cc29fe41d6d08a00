// What the setting of two routers needs of a routing daemon, whatever program it is.

export interface Peering {
  /** Name of the session in the daemon (BIRD: of the `protocol bgp` block) and in karp.yaml. */
  readonly protocol: string;
  readonly local: string;
  readonly localAs: number;
  readonly remote: string;
  readonly remoteAs: number;
  /** TCP port of the session at the end that listens; default BGP's. */
  readonly port?: number;
}

/** What a maker of daemons is given for one router. */
export interface RouterPlan {
  /** Also the router's name. */
  readonly namespace: string;
  readonly routerId: string;
  readonly peering: Peering;
  /** Prefixes that the daemon originates, of the session's address family. */
  readonly routes: readonly string[];
  /** A file of the daemon's own that its session includes, where drivers write such files. */
  readonly keyFile: string;
}

/** What the daemon itself says of its session; absent is not zero. */
export interface SessionStatus {
  /** When the session came up, as text; two texts of one moment may differ in the last digits: see `sameSince`. */
  readonly since: string;
  /** "Established", or the daemon's word for what it is instead. */
  readonly info: string;
  readonly routes: { readonly imported: number; readonly exported: number } | undefined;
}

/** A real routing daemon with one session that karp keys. */
export interface RoutingDaemon {
  readonly namespace: string;
  readonly peering: Peering;
  /** The process that holds the session's sockets. */
  readonly pid: number;
  /** `driver: …` and the driver's block, as lines of a session in karp.yaml without their indentation. */
  readonly driverWords: readonly string[];
  /** Starts it and waits until it answers. */
  start(): Promise<void>;
  /** Sends the signal and waits for the end; SIGTERM is an orderly one. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  status(): Promise<SessionStatus>;
  /** Waits until the session is up and `routes` prefixes are imported and exported. */
  waitEstablished(routes: number, seconds?: number): Promise<SessionStatus>;
}
