// What the setting of two routers needs of a routing daemon, whatever program it is.
import { waitFor } from "./wait.ts";

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

/** Waits until the daemon's session is up and it says that `routes` prefixes are imported and exported. */
export function waitForRoutes(
  daemon: Pick<RoutingDaemon, "namespace" | "status">,
  routes: number,
  seconds = 60,
): Promise<SessionStatus> {
  const up = async (): Promise<SessionStatus> => {
    const status = await daemon.status();
    if (status.info !== "Established") throw new Error(status.info);
    if (status.routes?.imported === routes && status.routes.exported === routes) return status;
    throw new Error(JSON.stringify(status.routes));
  };
  return waitFor(`${daemon.namespace}'s session with ${routes} routes`, up, { seconds });
}
