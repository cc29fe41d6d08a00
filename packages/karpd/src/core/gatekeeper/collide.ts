import { KeyState } from "@karp/ikev2";
import { type Association, candidates, isPlaceholder, type Mkt } from "./association.ts";
import { isOfPeer } from "./peerState.ts";
import { dueOfChain, isOfChain } from "./solo/dates.ts";
import type { Turn } from "./turn.ts";

/**
 * Of several MKTs on their way to replace the same one, the one that both ends keep. Both come to the same answer, as
 * both know all nonces (RFC 7296 section 2.8.1); until an own request is answered there is none.
 */
export function survivor(turn: Turn, association: Association): Mkt | undefined {
  if (association.negotiation.name === "negotiating") return undefined;
  const contenders = contendersOf(association);
  if (contenders.length === 0) return dueOfChain(association, turn.now);
  return contenders.find((mkt) => !contenders.some((other) => other !== mkt && loses(turn, mkt, other)));
}

/** What we began and what did not survive is deleted by us; what the peer began, by the peer. */
export function resolveCollision(turn: Turn, association: Association): void {
  if (association.negotiation.name === "negotiating") return;
  const surviving = survivor(turn, association);
  if (surviving === undefined) return;
  for (const mkt of candidates(association)) {
    if (mkt === surviving || isPlaceholder(mkt) || mkt.row.createdBy !== "ike" || surviving.row.createdBy !== "ike")
      continue;
    // Newer candidates that wait to be stored are judged once they are.
    if (mkt.storedGeneration === 0 || surviving.storedGeneration === 0) continue;
    // One that may be in use waits until the survivor is.
    if (mkt.situation.name === "preferred" || mkt.wasUsed || mkt.row.peerState === KeyState.inUse) continue;
    if (mkt.origin?.isOurs === true) giveUp(turn, association, mkt, "another key replaces the same one");
  }
}

/** The newest of each end: an end that asks once more has given its former request up. */
function contendersOf(association: Association): readonly Mkt[] {
  const possible = candidates(association).filter((mkt) => mkt.row.peerDeletedAt === undefined && !isOfChain(mkt));
  // One that a former credential made cannot be agreed on any more, and gives way to one that can
  const isSpokenOf = (mkt: Mkt): boolean => mkt.row.createdBy !== "ike" || isOfPeer(association, mkt);
  const all = possible.some(isSpokenOf) ? possible.filter(isSpokenOf) : possible;
  const named = new Set(all.map((mkt) => mkt.row.replaces));
  const unnamed = all.filter((mkt) => !named.has(mkt.row.adminKeyName));
  const ours = unnamed.findLast((mkt) => mkt.origin?.isOurs === true);
  const peers = unnamed.findLast((mkt) => mkt.origin?.isOurs === false);
  const others = unnamed.filter((mkt) => mkt.origin === undefined);
  return [...others, ...(ours === undefined ? [] : [ours]), ...(peers === undefined ? [] : [peers])];
}

function loses(turn: Turn, mkt: Mkt, other: Mkt): boolean {
  if (mkt.origin === undefined || other.origin === undefined) {
    return mkt.origin === undefined && other.origin !== undefined ? true : mkt.heldAt < other.heldAt;
  }
  return turn.ground.rules.isLoser(mkt.origin, other.origin);
}

/** It was never current, and will not be. */
export function giveUp(
  turn: Turn,
  association: Association,
  mkt: Mkt,
  reason: string,
  why: "givenUp" | "failed" = "givenUp",
): void {
  const since = turn.now.monotonic;
  const deletion = { name: "notSent" } as const;
  turn.enter(association, mkt, {
    name: "retiring",
    since,
    why,
    reason,
    deletion,
    unpreferredAt: undefined,
    isLeaving: false,
  });
  turn.event(association, "mktState", "info", `key ${mkt.fingerprint} is given up: ${reason}`, { mkt });
}
