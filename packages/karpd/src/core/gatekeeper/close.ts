import type { RevokeOutcome } from "../../ports/routingDriver.ts";
import { type Association, isLive, isPlaceholder, isStored, type Mkt, type Plan } from "./association.ts";
import { confirmPreference, desiredPlan, driverKeys, setDriver } from "./install.ts";
import { retryAt } from "./peerState.ts";
import { addPlaceholder } from "./placeholder.ts";
import { replyWhenStored } from "./reply.ts";
import { bury } from "./retire.ts";
import type { Turn } from "./turn.ts";

/** Only these end keys that are in use: a revocation, and the hard expiry of a session that fails closed. */
export function close(turn: Turn, association: Association): void {
  refuseWhenSilent(turn, association);
  const { closing } = association;
  if (closing === undefined) return;
  const { activity } = association.driver;
  if (activity.name === "applying" || activity.name === "revoking" || association.watch.requestId !== undefined) return;
  if (!hasDriverPart(association)) {
    finish(turn, association);
    return;
  }
  if (!isStored(association)) return;
  if (turn.now.monotonic < closing.notBefore) {
    turn.wake(closing.notBefore);
    return;
  }
  const plan = planWithout(turn, association, closing.victims);
  const requestId = turn.ground.nextRequestId(association);
  setDriver(association, { activity: { name: "revoking", requestId, plan, since: turn.now.monotonic } });
  turn.effect({ kind: "revoke", requestId, session: association.session, keep: driverKeys(plan) });
  turn.hasMoved = true;
}

/** Whoever asked is not kept waiting for a driver that does not answer. */
function refuseWhenSilent(turn: Turn, association: Association): void {
  const { closing, driver } = association;
  if (closing?.replyTo === undefined || driver.trouble?.kind !== "silent") return;
  refuse(turn, closing.replyTo, `not yet: ${driver.trouble.reason}; it is tried again until it is done`);
  association.closing = { ...closing, replyTo: undefined };
}

/** Mode observe never touched the daemon; keys that an earlier mode put there are taken out all the same. */
function hasDriverPart(association: Association): boolean {
  if (association.session.mode !== "observe") return true;
  return association.closing?.victims.some((mkt) => mkt.row.history.installed !== undefined) ?? false;
}

/** Begins to take these keys out of use; what is left, or a placeholder, keeps the session closed. */
export function beginClosing(
  turn: Turn,
  association: Association,
  why: "revoked" | "expired",
  reason: string,
  replyTo?: number,
): void {
  const victims = association.mkts.filter(
    (mkt) => isLive(mkt) && !isPlaceholder(mkt) && (why === "revoked" || mkt.hasExpired),
  );
  association.closing = { why, reason, victims, attempts: 0, notBefore: turn.now.monotonic, replyTo };
  const isLeft = association.mkts.some((mkt) => isLive(mkt) && !victims.includes(mkt));
  if (!isLeft && association.session.mode !== "observe") addPlaceholder(turn, association);
  turn.hasMoved = true;
}

/** After a restart in the middle of a revocation: keys that it has not reached are still to be taken out of use. */
export function resumeClosing(turn: Turn, association: Association): void {
  const { revokedBecause, mkts } = association;
  if (revokedBecause === undefined || !mkts.some((mkt) => isLive(mkt) && !isPlaceholder(mkt))) return;
  beginClosing(turn, association, "revoked", revokedBecause);
}

function planWithout(turn: Turn, association: Association, victims: readonly Mkt[]): Plan {
  const rest = [...desiredPlan(turn, association)].filter(([mkt]) => !victims.includes(mkt));
  const placeholder = association.mkts.findLast((mkt) => isPlaceholder(mkt) && isLive(mkt));
  const hasPreferred = rest.some(([, use]) => use === "preferred");
  return new Map(rest.map(([mkt, use]) => [mkt, !hasPreferred && mkt === placeholder ? "preferred" : use]));
}

export function onRevoked(turn: Turn, association: Association, requestId: number, outcome: RevokeOutcome): void {
  const { activity } = association.driver;
  const { closing } = association;
  if (activity.name !== "revoking" || activity.requestId !== requestId || closing === undefined) return;
  turn.hasMoved = true;
  setDriver(association, { activity: { name: "idle" } });
  if (outcome.kind === "failed") {
    association.closing = {
      ...closing,
      attempts: closing.attempts + 1,
      notBefore: retryAt(turn.now.monotonic, closing.attempts, turn.random()),
      replyTo: undefined,
    };
    turn.event(
      association,
      "driverRefused",
      "alarm",
      `the keys of ${association.name} could not be taken out of use: ${outcome.reason}; tried again`,
    );
    refuse(turn, closing.replyTo, `not yet: ${outcome.reason}; it is tried again until it is done`);
    return;
  }
  setDriver(association, { confirmed: activity.plan, trouble: undefined, attempts: 0, hasDrifted: false });
  for (const mkt of association.mkts) mkt.acceptance = { name: activity.plan.has(mkt) ? "accepted" : "absent" };
  finish(turn, association);
  confirmPreference(turn, association, activity.plan);
}

function finish(turn: Turn, association: Association): void {
  const { closing } = association;
  if (closing === undefined) return;
  association.closing = undefined;
  if (association.preferred !== undefined && closing.victims.includes(association.preferred))
    association.preferred = undefined;
  for (const mkt of closing.victims) if (isLive(mkt)) bury(turn, association, mkt);
  turn.hasMoved = true;
  const count = closing.victims.length;
  if (closing.why === "revoked") {
    turn.event(
      association,
      "RP_revokeSA",
      "alarm",
      `all ${count} keys of ${association.name} are revoked${closing.reason === "" ? "" : `: ${closing.reason}`}`,
    );
    turn.event(association, "revoked", "alarm", `no connection of ${association.name} uses a revoked key any more`);
  } else {
    turn.event(association, "hardExpired", "alarm", `${association.name} fails closed: ${closing.reason}`);
  }
  if (closing.replyTo === undefined) return;
  const text = `revoked ${count} keys; ask for a new one with: karp rekey ${association.name}`;
  const promise = `the revocation of ${association.name}`;
  replyWhenStored(turn, [association], { requestId: closing.replyTo, reply: { ok: true, text }, promise });
}

function refuse(turn: Turn, requestId: number | undefined, text: string): void {
  if (requestId === undefined) return;
  turn.effect({ kind: "reply", requestId, reply: { ok: false, code: "driverFailed", text } });
}
