import type { IkePeer, Instant, UnixMilliseconds } from "@karp/ikev2";
import type { Association } from "./association.ts";

/** A configured IKE peer, and what is known of the IKE SA with it. */
export interface Peer {
  config: IkePeer;
  readonly localIdentity: string;
  readonly remoteIdentity: string;
  readonly associations: Set<Association>;
  ikeSa: "none" | "connecting" | "established";
  role: "initiator" | "responder" | undefined;
  suite: string | undefined;
  establishedAt: UnixMilliseconds | undefined;
  /** The same moment: since then the peer has spoken of every MKT that it holds with us. */
  speaksSince: Instant | undefined;
  /** Both ends sent the Vendor ID; undefined until an IKE SA was seen. */
  speaksKarp: boolean | undefined;
  /** Of the last IKE SA. */
  credential: string | undefined;
  /** The configuration has another one since; which keys that one made shows in the next IKE SA. */
  hasNewCredential: boolean;
  /** What came of our last attempt, since the last IKE SA. */
  lastFailure: Failure | undefined;
  /** Why we refused it last, since the last IKE SA: the peer was told AUTHENTICATION_FAILED and no more. */
  lastRefusal: Failure | undefined;
  /** "No rollover from my side until then." */
  frozenUntil: Instant | undefined;
  /** KEY_STATEs that came before the MKT which they are about: at most a few. */
  early: readonly EarlyState[];
}

export interface Failure {
  readonly at: UnixMilliseconds;
  readonly text: string;
}

export interface EarlyState {
  readonly recvId: number;
  readonly state: number;
  readonly reason: string;
}

/** A peer of which nothing was seen yet. */
export function makePeer(config: IkePeer, localIdentity: string, remoteIdentity: string): Peer {
  return {
    config,
    localIdentity,
    remoteIdentity,
    associations: new Set(),
    ikeSa: "none",
    role: undefined,
    suite: undefined,
    establishedAt: undefined,
    speaksSince: undefined,
    speaksKarp: undefined,
    credential: undefined,
    hasNewCredential: false,
    lastFailure: undefined,
    lastRefusal: undefined,
    frozenUntil: undefined,
    early: [],
  };
}
