import type { Instant } from "@karp/ikev2";
import { KeyState, nameOf } from "@karp/ikev2";
import { later } from "../time.ts";
import { type Association, currentMkt, isAccepted, type Mkt } from "./association.ts";
import type { Turn } from "./turn.ts";

export interface Saying {
  readonly state: number;
  readonly reason: string;
}

/** What the peer should know of this MKT now; undefined: nothing. */
export function sayingOf(turn: Turn, association: Association, mkt: Mkt): Saying | undefined {
  if (mkt.row.createdBy !== "ike" || mkt.storedGeneration === 0 || !isOfPeer(association, mkt)) return undefined;
  const { situation } = mkt;
  if (situation.name === "removed") {
    return situation.tellsUnknown ? { state: KeyState.unknown, reason: "removed here" } : undefined;
  }
  if (situation.name === "retiring") return sayingOfRetiring(mkt, situation);
  if (association.session.mode === "observe") return { state: KeyState.observing, reason: "mode observe" };
  if (mkt.acceptance.name === "lost") return { state: KeyState.withdrawn, reason: mkt.acceptance.reason };
  if (mkt.acceptance.name === "refused") return { state: KeyState.failed, reason: mkt.acceptance.reason };
  if (!isAccepted(mkt)) return sayingOfMissing(association, mkt);
  if (mkt === currentMkt(association) || isSentWith(turn, association, mkt))
    return { state: KeyState.inUse, reason: "" };
  if (turn.ground.rules.mayTellReady(association, mkt)) return { state: KeyState.ready, reason: "" };
  return isAccepted(mkt) ? undefined : sayingOfMissing(association, mkt);
}

/**
 * Our current_key is this one since we prefer it: we send with it. Said before it is current here, because two ends
 * whose daemons count no segments by key have nothing but each other's word (DESIGN section 5, step 5).
 */
function isSentWith(turn: Turn, association: Association, { situation, row }: Mkt): boolean {
  if (situation.name !== "preferred" || situation.confirmedAt === undefined) return false;
  if (!turn.facts(association).observes) return hasSettled(turn, association, situation.confirmedAt);
  const { last } = association.watch;
  if (last === undefined) return false;
  const { connections, currentSendId } = last.observation;
  return last.at >= situation.confirmedAt && connections !== 0 && currentSendId === row.sendId;
}

/** Nothing can be seen here, but the driver confirmed that the key is the one to send with, and time enough has passed. */
function hasSettled(turn: Turn, { session }: Association, confirmedAt: Instant): boolean {
  const settled = later(confirmedAt, session.rollover.settleSeconds);
  if (turn.now.monotonic >= settled) return true;
  turn.wake(settled);
  return false;
}

function sayingOfRetiring(
  mkt: Mkt,
  situation: Extract<Mkt["situation"], { readonly name: "retiring" }>,
): Saying | undefined {
  if (situation.why === "failed") return { state: KeyState.failed, reason: situation.reason };
  // After D nothing more is said; and a given-up key is spoken of by D alone.
  if (situation.why === "givenUp" || situation.deletion.name !== "notSent") return undefined;
  return isAccepted(mkt) ? { state: KeyState.ready, reason: "" } : undefined;
}

/** Held but not accepted yet: said where somebody waits for it. Of a key that was in before, nothing new is known. */
function sayingOfMissing(association: Association, mkt: Mkt): Saying | undefined {
  if (mkt.situation.name !== "held") return undefined;
  const { trouble } = association.driver;
  if (trouble !== undefined && trouble.kind !== "foreign") return { state: KeyState.withdrawn, reason: trouble.reason };
  if (mkt.acceptance.name === "absent" && isWaitingForPeer(association, mkt)) {
    return { state: KeyState.withdrawn, reason: "held; goes in when both ends can" };
  }
  return undefined;
}

/**
 * Mode opportunistic: the first key changes a session that works without one, so it goes in only when the peer showed
 * that it does not merely observe: it is ready, or holds the key back as we do. Sticky afterwards.
 */
export function isWaitingForPeer(association: Association, mkt: Mkt): boolean {
  if (association.session.mode !== "opportunistic" || association.wasKeyed || mkt.row.createdBy !== "ike") return false;
  if (association.driver.confirmed !== undefined && association.driver.confirmed.size > 0) return false;
  const { peerState } = mkt.row;
  return peerState === KeyState.unknown || peerState === KeyState.observing || peerState === KeyState.failed;
}

/** Only the identity and the credential that made an MKT hear and speak about it. */
export function isOfPeer({ peer }: Association, mkt: Mkt): boolean {
  return (
    peer !== undefined &&
    mkt.row.peerIdentity === peer.remoteIdentity &&
    mkt.row.localIdentity === peer.localIdentity &&
    (peer.credential === undefined || mkt.row.credentialFingerprint === peer.credential)
  );
}

export function nameOfState(state: number): string {
  return state === KeyState.inUse ? "in-use" : nameOf(KeyState, state);
}

/** When a peer that is not heard of any more is asked again. */
export function retryAt(now: Instant, attempts: number, random: number): Instant {
  return later(now, Math.min(300, 2 ** Math.min(attempts, 9)) * (0.75 + random / 2));
}
