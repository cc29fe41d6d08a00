import type { Now } from "@karp/ikev2";
import type { SessionConfiguration } from "../configuration.ts";
import { type Association, currentMkt, isLive, isPlaceholder, type Mkt } from "./association.ts";
import { freezeFact, restoreFreeze } from "./freeze.ts";
import type { Peer } from "./peer.ts";
import { requestFact } from "./request.ts";
import { parseSolo, soloFact } from "./solo/soloFact.ts";
import type { Turn } from "./turn.ts";

/** An association as configuration and store describe it; nothing is known of its driver and its peer yet. */
export function makeAssociation(
  turn: Turn,
  session: SessionConfiguration,
  peer: Peer | undefined,
  mkts: readonly Mkt[],
  facts: ReadonlyMap<string, string>,
): Association {
  const association: Association = {
    ...emptyAssociation(session, peer, turn.now),
    mkts: inOrderOfAge(mkts),
  };
  association.preferred = restoredPreference(association);
  association.wasKeyed =
    facts.has(`keyed:${session.name}`) || mkts.some(({ row }) => row.history.current !== undefined);
  association.request = facts.get(requestFact(session.name));
  association.solo = parseSolo(facts.get(soloFact(session.name)));
  association.revokedBecause = facts.get(revokedFact(session.name));
  restoreFreeze(turn, association, facts.get(freezeFact(association)));
  return association;
}

/** Oldest first. Wall times alone do not tell: the clock may have been set between two of them. */
function inOrderOfAge(mkts: readonly Mkt[]): Mkt[] {
  const byName = new Map(mkts.map((mkt) => [mkt.row.adminKeyName, mkt]));
  const depthOf = (mkt: Mkt, seen: number): number => {
    const predecessor = mkt.row.replaces === undefined ? undefined : byName.get(mkt.row.replaces);
    return predecessor === undefined || seen > mkts.length ? 0 : 1 + depthOf(predecessor, seen + 1);
  };
  const ranked = mkts.map((mkt) => ({
    mkt,
    rank: rankOf(mkt),
    depth: depthOf(mkt, 0),
    order: mkt.origin?.order ?? 0,
    held: mkt.row.history.held ?? 0,
  }));
  return ranked
    .sort((a, b) => a.rank - b.rank || a.depth - b.depth || a.order - b.order || a.held - b.held)
    .map(({ mkt }) => mkt);
}

/** Placeholders and what has been replaced come before what is in use, and that before what is to replace it. */
function rankOf({ row }: Mkt): number {
  if (row.createdBy === "placeholder") return 0;
  if (row.history.current !== undefined) return row.state === "current" ? 2 : 1;
  return row.state === "retiring" || row.state === "removed" || row.state === "failed" ? 1 : 3;
}

/** What was preferred before the restart is preferred after it. */
function restoredPreference(association: Association): Mkt | undefined {
  return (
    association.mkts.findLast((mkt) => mkt.situation.name === "preferred") ??
    currentMkt(association) ??
    association.mkts.findLast((mkt) => isPlaceholder(mkt) && isLive(mkt))
  );
}

export function revokedFact(session: string): string {
  return `revoked:${session}`;
}

function emptyAssociation(session: SessionConfiguration, peer: Peer | undefined, now: Now): Association {
  return {
    deadline: undefined,
    heapIndex: -1,
    name: session.name,
    session,
    peer,
    isManaged: true,
    mkts: [],
    preferred: undefined,
    negotiation: { name: "idle" },
    request: undefined,
    wantedAt: undefined,
    doubtful: [],
    refusedAlgorithms: [],
    driver: {
      activity: { name: "unexamined" },
      confirmed: undefined,
      trouble: undefined,
      attempts: 0,
      hasDrifted: false,
      losses: 0,
    },
    watch: {
      requestId: undefined,
      requestedAt: undefined,
      last: undefined,
      answeredAt: undefined,
      unavailable: undefined,
      foreign: undefined,
      strayCount: 0,
    },
    telling: {
      sent: undefined,
      attempts: 0,
      notBefore: now.monotonic,
      waitsForIkeSa: false,
      tellsFreeze: false,
      lastFailure: undefined,
    },
    closing: undefined,
    revokedBecause: undefined,
    frozenUntil: undefined,
    wasKeyed: false,
    saving: undefined,
    changes: [],
    isUrgent: false,
    replies: [],
    heldBack: undefined,
    exhausted: undefined,
    solo: undefined,
    completedRollovers: 0,
    timeline: [],
  };
}
