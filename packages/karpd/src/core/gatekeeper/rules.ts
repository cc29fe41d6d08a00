import type { Instant, NegotiatedMkt } from "@karp/ikev2";
import { KeyState } from "@karp/ikev2";
import type { Observation } from "../../ports/routingDriver.ts";
import { later, latest } from "../time.ts";
import {
  type Association,
  candidates,
  currentMkt,
  isAccepted,
  isPlaceholder,
  isServing,
  type Mkt,
  type Origin,
  type Proof,
} from "./association.ts";
import { type Facts, granted, type Permission, refuse } from "./permission.ts";
import { mayDelete, mayRemove } from "./removalRules.ts";
import { dueAt, isDue, isOfChain, isUncounted } from "./solo/dates.ts";

/**
 * The decisions that no session may be dropped by, apart from the machinery that acts on them. Each is a question about
 * what is known, and changes nothing. The proof replaces them one at a time to see that it would notice.
 */
export interface Rules {
  /** SendID and RecvID of a negotiated MKT. */
  idsOf(negotiated: Pick<NegotiatedMkt, "sendId" | "recvId">): { readonly sendId: number; readonly recvId: number };
  /** Invariant 5: may the response that promises this MKT leave? */
  mayCommit(mkt: Mkt): boolean;
  /** May the peer be told that this MKT is accepted here? */
  mayTellReady(association: Association, mkt: Mkt): boolean;
  /** Invariant 3: may it become rnext_key and the key of new connections? */
  mayPrefer(association: Association, mkt: Mkt, facts: Facts): Permission;
  /** May it stay that? */
  mayKeepPreferring(association: Association, mkt: Mkt): boolean;
  /** Invariant 1: is it seen to be in use in both directions? */
  provenCurrent(association: Association, mkt: Mkt, facts: Facts): Proof | undefined;
  /** May D be sent for it: "I will not prefer this again"? */
  mayDelete(association: Association, mkt: Mkt, facts: Facts): Permission;
  /** Invariant 1: may it be taken out of the driver? */
  mayRemove(association: Association, mkt: Mkt, facts: Facts): Permission;
  /** Invariant 2: may the KeyIDs of a removed MKT be used again? */
  mayReuseKeyIds(association: Association, mkt: Mkt, facts: Facts): Permission;
  /** Has the peer never mentioned it, for too long? */
  isOrphan(association: Association, mkt: Mkt, facts: Facts): Permission;
  /** Which of two simultaneous MKTs its creator deletes (RFC 7296 section 2.8.1). */
  isLoser(mine: Origin, other: Origin): boolean;
  atHardExpiry(association: Association): "keep" | "close";
}

export const defaultRules: Rules = {
  idsOf: ({ sendId, recvId }) => ({ sendId, recvId }),
  mayCommit: (mkt) => mkt.storedGeneration > 0,
  mayTellReady,
  mayPrefer,
  mayKeepPreferring,
  provenCurrent,
  mayDelete,
  mayRemove,
  mayReuseKeyIds,
  isOrphan,
  // "the SA created with the lowest of the four nonces used in the two exchanges is the redundant one", RFC 7296 section 2.8.1
  isLoser: (mine, other) => mine.lowestNonce < other.lowestNonce,
  atHardExpiry: ({ session }) => (session.onExpiry === "fail-closed" ? "close" : "keep"),
};

function mayTellReady(association: Association, mkt: Mkt): boolean {
  if (!isAccepted(mkt)) return false;
  return !isContested(association, mkt) || mkt.row.toldState === KeyState.ready;
}

/** An own request for the same predecessor is unanswered: whether this one survives is not known yet. */
function isContested(association: Association, mkt: Mkt): boolean {
  const { negotiation } = association;
  return negotiation.name === "negotiating" && negotiation.rekeys !== mkt && candidates(association).includes(mkt);
}

function mayPrefer(association: Association, mkt: Mkt, facts: Facts): Permission {
  const { situation } = mkt;
  if (!isAccepted(mkt)) return refuse("driver", "the driver has not confirmed that the key is accepted");
  if (isPlaceholder(mkt)) return granted;
  if (situation.name !== "installed") return refuse("driver", "the key is not installed");
  if (isContested(association, mkt)) return refuse("peer", "an own request for this key is unanswered");
  if (association.frozenUntil !== undefined && currentMkt(association) !== undefined) {
    return refuse("operator", "rollovers are frozen here", association.frozenUntil);
  }
  if (situation.barred !== undefined) {
    return refuse("peer", "nothing came up with this key; the peer has to confirm it again", situation.barred.until);
  }
  return mayPreferForPeer(association, mkt, situation.since, facts);
}

function mayPreferForPeer(association: Association, mkt: Mkt, since: Instant, facts: Facts): Permission {
  const saysNothing = mkt.row.createdBy !== "ike" || association.peer?.speaksKarp === false;
  if (saysNothing) return mayPreferUnasked(association, mkt, since, facts);
  if (mkt.row.peerDeletedAt !== undefined) return refuse("peer", "the peer has deleted this key");
  if (isConfirmedByPeer(mkt)) return granted;
  const reason = mkt.row.peerReason === "" ? "" : `: ${mkt.row.peerReason}`;
  switch (mkt.row.peerState) {
    case KeyState.observing:
      return refuse("peer", `the peer only observes${reason}`);
    case KeyState.withdrawn:
      return refuse("peer", `the peer does not accept the key now${reason}`);
    case KeyState.failed:
      return refuse("peer", `the peer could not install the key${reason}`);
    default:
      return refuse("peer", "the peer has not said that it accepts the key");
  }
}

/** Peers without the Vendor ID, and keys that people made: time has to do instead of "ready". */
function mayPreferUnasked(association: Association, mkt: Mkt, since: Instant, facts: Facts): Permission {
  if (mkt.row.createdBy === "manual" && mkt.row.replaces === undefined && currentMkt(association) !== undefined) {
    return refuse("operator", "the key was inserted beside one in use, not to replace it");
  }
  const isEarly =
    isOfChain(mkt) && association.mkts.some((other) => other !== mkt && isServing(other)) && !isDue(mkt, facts.now);
  if (isEarly) return refuse("clock", "its date has not come", dueAt(mkt, facts.now));
  const settled = later(since, association.session.rollover.settleSeconds);
  if (facts.now.monotonic >= settled) return granted;
  return refuse("clock", "the peer cannot say that it is ready: it gets time to settle", settled);
}

/** The peer's last word is that it accepts the key. */
export function isConfirmedByPeer(mkt: Mkt): boolean {
  return mkt.row.peerState === KeyState.ready || mkt.row.peerState === KeyState.inUse;
}

function mayKeepPreferring(_association: Association, mkt: Mkt): boolean {
  if (mkt.acceptance.name === "lost" || mkt.acceptance.name === "refused") return false;
  if (mkt.situation.name !== "preferred" && mkt.situation.name !== "current") return false;
  if (mkt.row.peerDeletedAt !== undefined || mkt.isUnknownToPeer) return false;
  return mkt.row.peerState !== KeyState.withdrawn && mkt.row.peerState !== KeyState.failed;
}

/**
 * Our current_key is the new one: the peer asks for it (RFC 5925 section 7.5). That alone does not prove that the peer
 * sends with it: a segment with it was accepted here, or the peer says that it is in use there.
 */
function provenCurrent(association: Association, mkt: Mkt, facts: Facts): Proof | undefined {
  if (mkt.situation.name !== "preferred" || mkt.situation.confirmedAt === undefined) return undefined;
  const peerUsesIt = mkt.row.peerState === KeyState.inUse;
  const { last } = association.watch;
  if (!facts.observes) return peerUsesIt ? "peer" : undefined;
  if (last === undefined || last.at < mkt.situation.confirmedAt) return undefined;
  const { connections, currentSendId } = last.observation;
  const seen = currentSendId === mkt.row.sendId ? proofOfUse(mkt, last.observation, peerUsesIt) : undefined;
  if (seen !== undefined || connections !== 0) return seen;
  return isIdleAtBothEnds(mkt, mkt.situation.wasIdle) ? "idle" : undefined;
}

/** Our current_key is this one. */
function proofOfUse(mkt: Mkt, observation: Observation, peerUsesIt: boolean): Proof | undefined {
  if (mkt.wasUsed) return "traffic";
  if (peerUsesIt) return "peer";
  return isOfChain(mkt) && isUncounted(observation) ? "asked" : undefined;
}

/**
 * No connection here before it was preferred, and none since: both "ready" are all that there is to know. That the
 * peer's end has none either is its own observation: it says in-use, and removal waits for that.
 */
function isIdleAtBothEnds(mkt: Mkt, wasIdle: boolean): boolean {
  const isTold = mkt.row.toldState === KeyState.ready || mkt.row.toldState === KeyState.inUse;
  return wasIdle && isTold && isConfirmedByPeer(mkt);
}

/** The KeyIDs rest from the later of removal and our D answered. */
function mayReuseKeyIds(association: Association, mkt: Mkt, facts: Facts): Permission {
  if (mkt.situation.name !== "removed") return refuse("driver", "the key is not removed");
  const { deletion, since } = mkt.situation;
  if (deletion.name !== "answered") return refuse("peer", "the peer has not answered the deletion of the key");
  const rested = later(latest(deletion.at, since), association.session.rollover.quarantineSeconds);
  return facts.now.monotonic >= rested ? granted : refuse("clock", "the KeyIDs rest", rested);
}

function isOrphan(association: Association, mkt: Mkt, facts: Facts): Permission {
  const isWaiting = mkt.situation.name === "held" || mkt.situation.name === "installed";
  const isSilent = mkt.heardAt === undefined && mkt.row.peerState === KeyState.unknown && !mkt.wasUsed;
  if (mkt.row.createdBy !== "ike" || association.peer?.speaksKarp === false || !isWaiting || !isSilent) {
    return refuse("peer", "not an orphan");
  }
  const due = later(mkt.heldAt, association.session.rollover.orphanSeconds);
  return facts.now.monotonic >= due ? granted : refuse("peer", "the peer has not mentioned the key", due);
}
