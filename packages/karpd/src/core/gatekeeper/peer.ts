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
  /** Both ends sent the Vendor ID; undefined until an IKE SA was seen. */
  speaksKarp: boolean | undefined;
  /** Of the last IKE SA. */
  credential: string | undefined;
  lastFailure: { readonly at: UnixMilliseconds; readonly text: string } | undefined;
  /** "No rollover from my side until then." */
  frozenUntil: Instant | undefined;
  /** KEY_STATEs that came before the MKT which they are about: at most a few. */
  early: readonly EarlyState[];
}

export interface EarlyState {
  readonly recvId: number;
  readonly state: number;
  readonly reason: string;
}
