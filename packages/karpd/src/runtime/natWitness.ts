import type { IkeLogEvent, IkePeer } from "@karp/ikev2";

/** A NAT that NAT_DETECTION of an IKE_SA_INIT has shown (RFC 7296 section 2.23). Nothing there is authenticated. */
export interface NatSeen {
  /** RFC 3339 UTC. */
  readonly at: string;
  /** Address of the peer, as we see it. */
  readonly remote: string;
  readonly detail: string;
}

/** Remembers for `karp doctor` on which paths there was a NAT when the last IKE SA began. One entry a peer at most. */
export class NatWitness {
  readonly #seen = new Map<string, NatSeen>();
  #isFresh = false;

  get seen(): readonly NatSeen[] {
    return [...this.#seen.values()];
  }

  /** `peers`: those of the configuration, for messages that name a peer and no address. */
  hear(event: IkeLogEvent, peers: readonly IkePeer[], nowMilliseconds: number): void {
    if (event.name !== "natDetected" && event.name !== "saInitDone") return;
    const peer = peers.find(({ name, remote }) =>
      event.remote === undefined ? name === event.peer : remote.address === event.remote.address,
    );
    // Nothing is remembered of strangers: anybody can send an IKE_SA_INIT, from any address
    if (peer === undefined) return;
    const remote = peer.remote.address;
    if (event.name === "natDetected") {
      this.#seen.set(remote, { at: new Date(nowMilliseconds).toISOString(), remote, detail: event.detail });
      this.#isFresh = true;
    } else {
      // The engine tells of a NAT right before: this exchange had none
      if (!this.#isFresh) this.#seen.delete(remote);
      this.#isFresh = false;
    }
  }
}
