import type { Instant, Now } from "@karp/ikev2";
import { formatRfc3339, later } from "../time.ts";
import type { RolloverView } from "../views.ts";
import {
  type Association,
  candidates,
  currentMkt,
  isAccepted,
  isPlaceholder,
  isServing,
  type Mkt,
} from "./association.ts";
import { isWaitingForPeer } from "./peerState.ts";
import type { Facts, Permission } from "./permission.ts";
import { chainOf, isDue, isOfChain } from "./solo/dates.ts";
import { isRenewalDue, lateKey, renewalDate } from "./solo/watchNeighbour.ts";
import type { Ground } from "./turn.ts";

export interface Explanation {
  readonly since?: string;
  readonly waitingFor?: NonNullable<RolloverView["waitingFor"]>;
  readonly nextAt?: Instant;
  readonly nextCommand?: string;
}

/** The step at which the newest rollover of a session stands. */
export function stepOf(association: Association, now: Now): string {
  if (association.negotiation.name === "negotiating") return "negotiating";
  if (association.watch.foreign !== undefined) return "foreign";
  const candidate = candidates(association).findLast((mkt) => !isAhead(mkt, now));
  if (candidate !== undefined && candidate !== currentMkt(association)) return candidate.row.state;
  if (association.negotiation.name === "wanted") return association.frozenUntil === undefined ? "wanted" : "frozen";
  if (association.mkts.some(({ row }) => row.state === "failed")) return "failed";
  const isRetiring = association.mkts.some((mkt) => mkt.situation.name === "retiring" && !isPlaceholder(mkt));
  if (isRetiring) return "retiring";
  return association.frozenUntil === undefined ? "idle" : "frozen";
}

/** Who is waited for, since when, why, and what to type (DESIGN section 7). */
export function explain(ground: Ground, association: Association, now: Now): Explanation {
  const { name, negotiation } = association;
  if (association.revokedBecause !== undefined) return { nextCommand: `karp rekey ${name}` };
  if (association.driver.trouble !== undefined) return ofDriver(association);
  if (negotiation.name === "negotiating")
    return waiting(association, now, "peer", "the peer has not answered yet", negotiation.sinceWall);
  if (waitsForConnection(association))
    return waiting(association, now, "session", "on-demand: a connection that wants a key", undefined);
  const ofChain = explainChain(association, now);
  if (ofChain !== undefined) return ofChain;
  const candidate = candidates(association).findLast((mkt) => !isAhead(mkt, now));
  if (candidate !== undefined) return ofCandidate(ground, association, candidate, now);
  if (negotiation.name === "wanted") return ofWanted(association, negotiation, now);
  const retiring = association.mkts.find((mkt) => mkt.situation.name === "retiring" && !isPlaceholder(mkt));
  if (retiring !== undefined) return ofRetiring(ground, association, retiring, now);
  const { softAt } = currentMkt(association) ?? {};
  return softAt === undefined ? {} : { nextAt: softAt };
}

/** `since` is not known: nothing has begun. */
function waitsForConnection({ session, mkts, negotiation, peer }: Association): boolean {
  if (session.start !== "on-demand" || negotiation.name !== "idle" || peer === undefined) return false;
  return !mkts.some((mkt) => isServing(mkt));
}

/** A key of a chain whose date has not come. */
function isAhead(mkt: Mkt, now: Now): boolean {
  return isOfChain(mkt) && !isDue(mkt, now);
}

/** A neighbour without karp says nothing: who has to do something is a person. */
function explainChain(association: Association, now: Now): Explanation | undefined {
  const { solo, session, name, peer } = association;
  if (solo === undefined || session.solo === undefined || peer !== undefined) return undefined;
  const nextCommand = `karp handout ${name}`;
  if (solo.handedOutAt === undefined) {
    const reason = "the neighbour has to be given its keys";
    return { ...waiting(association, now, "operator", reason, chainOf(association)[0]?.row.history.held), nextCommand };
  }
  const late = lateKey(association, now);
  if (late !== undefined && (late.situation.name !== "preferred" || solo.late.has(late))) {
    const reason = `it has not switched to key ${late.fingerprint} (KeyID ${late.row.recvId})`;
    const again = { nextCommand: `${nextCommand} --again` };
    return { ...waiting(association, now, "neighbour", reason, late.row.sendLifetimeStart), ...again };
  }
  if (isRenewalDue(association, now)) {
    const reason = "the keys that the neighbour has end soon";
    return { ...waiting(association, now, "operator", reason, renewalDate(association)), nextCommand };
  }
  const next = candidates(association).find((mkt) => isAhead(mkt, now));
  const isSettled = currentMkt(association) !== undefined && late === undefined;
  if (!isSettled || next?.row.sendLifetimeStart === undefined) return undefined;
  return { nextAt: later(now.monotonic, (next.row.sendLifetimeStart - now.wall) / 1000) };
}

function ofDriver(association: Association): Explanation {
  const { trouble, activity } = association.driver;
  if (trouble === undefined) return {};
  const since = formatRfc3339(trouble.sinceWall);
  const nextCommand = trouble.kind === "pending" ? undefined : "karp doctor";
  return {
    since,
    waitingFor: { whom: `driver ${association.session.driver}`, since, reason: trouble.reason },
    ...(activity.name === "waiting" ? { nextAt: activity.until } : {}),
    ...(nextCommand === undefined ? {} : { nextCommand }),
  };
}

function ofWanted(
  association: Association,
  wanted: Extract<Association["negotiation"], { readonly name: "wanted" }>,
  now: Now,
): Explanation {
  const { heldBack, name } = association;
  if (heldBack !== undefined) {
    const explanation = waiting(association, now, heldBack.whom, heldBack.reason, wanted.sinceWall);
    return heldBack.whom === "operator" ? { ...explanation, nextCommand: `karp thaw ${name}` } : explanation;
  }
  const { lastFailure, notBefore, sinceWall } = wanted;
  const reason = lastFailure ?? "the request has not been sent yet";
  const explanation = { ...waiting(association, now, "peer", reason, sinceWall), nextAt: notBefore };
  return lastFailure === undefined ? explanation : { ...explanation, nextCommand: "karp doctor" };
}

function ofCandidate(ground: Ground, association: Association, mkt: Mkt, now: Now): Explanation {
  const facts: Facts = { now, observes: ground.drivers.observes(association.session.driver) };
  const since = mkt.row.history[mkt.row.state];
  if (mkt.storedGeneration === 0) return waiting(association, now, "store", "the key is not on disk yet", since);
  if (association.session.mode === "observe")
    return waiting(
      association,
      now,
      "operator",
      "mode observe installs nothing; set mode: opportunistic at both ends",
      since,
    );
  if (isWaitingForPeer(association, mkt))
    return waiting(association, now, "peer", "the first key goes in when both ends can", since);
  if (mkt.situation.name === "preferred") {
    if (mkt.situation.confirmedAt === undefined)
      return waiting(association, now, "driver", "it has not confirmed the preference", since);
    const whom = facts.observes ? "session" : "peer";
    const reason = facts.observes
      ? "segments with the key have not been seen in both directions"
      : "the driver cannot observe, and the peer has not said in-use";
    return { ...waiting(association, now, whom, reason, since), nextCommand: "karp show sessions" };
  }
  if (!isAccepted(mkt))
    return waiting(association, now, "driver", "it has not confirmed that the key is accepted", since);
  return ofPermission(association, ground.rules.mayPrefer(association, mkt, facts), now, since);
}

function ofRetiring(ground: Ground, association: Association, mkt: Mkt, now: Now): Explanation {
  const facts: Facts = { now, observes: ground.drivers.observes(association.session.driver) };
  return ofPermission(
    association,
    ground.rules.mayRemove(association, mkt, facts),
    now,
    mkt.row.history[mkt.row.state],
  );
}

function ofPermission(
  association: Association,
  permission: Permission,
  now: Now,
  since: Now["wall"] | undefined,
): Explanation {
  if (permission.isGranted) return waiting(association, now, "driver", "the next step is under way", since);
  const explanation = waiting(association, now, permission.whom, permission.because, since);
  return permission.at === undefined ? explanation : { ...explanation, nextAt: permission.at };
}

function waiting(
  association: Association,
  now: Now,
  who: string,
  reason: string,
  since: Now["wall"] | undefined,
): Explanation {
  const text = formatRfc3339(since ?? now.wall);
  const names: Readonly<Record<string, string>> = {
    peer: association.session.peer,
    driver: `driver ${association.session.driver}`,
    store: "key table",
    session: `session ${association.name}`,
  };
  return { since: text, waitingFor: { whom: names[who] ?? who, since: text, reason } };
}
