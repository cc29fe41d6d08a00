import type { Destination } from "./destination.ts";

/** What a supervisor has to know of a session. */
export interface WrappedSession {
  readonly name: string;
  readonly remoteAddress: string;
  readonly port: number;
  readonly mode: "observe" | "opportunistic" | "required";
  readonly onKarpDown: "wait" | "fail";
}

/** Sessions by where their connections go. */
export class SessionTable {
  readonly #byDestination = new Map<string, WrappedSession>();

  /** Sessions that are only observed get no keys: their connections are like all others. */
  constructor(sessions: readonly WrappedSession[]) {
    for (const session of sessions) {
      if (session.mode === "observe") continue;
      const key = keyOf({ address: session.remoteAddress, port: session.port });
      const known = this.#byDestination.get(key);
      // One of several sessions with this destination, in several VRFs: which one it is, the keyer knows
      if (known === undefined || known.onKarpDown === "wait") this.#byDestination.set(key, session);
    }
  }

  /** Undefined: karp has nothing to do with it. */
  at(destination: Destination): WrappedSession | undefined {
    return this.#byDestination.get(keyOf(destination));
  }

  get size(): number {
    return this.#byDestination.size;
  }
}

function keyOf({ address, port }: Destination): string {
  return `${address} ${port}`;
}
