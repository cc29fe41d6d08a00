import type { ApplyOutcome, DriverKey } from "../../ports/routingDriver.ts";
import { later } from "../time.ts";
import {
  type Association,
  type Driver,
  isAccepted,
  isLive,
  isPlaceholder,
  isServing,
  isStored,
  type Mkt,
  type Plan,
  type Trouble,
} from "./association.ts";
import { giveUp } from "./collide.ts";
import { isWaitingForPeer } from "./peerState.ts";
import { isOfChain, waitsForItsDate } from "./solo/dates.ts";
import type { Turn } from "./turn.ts";

/** A driver that has not answered for so long is asked anew. */
export const DRIVER_TIMEOUT_SECONDS = 120;
/** A driver that announces when it is done is asked anew by then. */
const LONGEST_WAIT_SECONDS = 600;

/** Makes the routing daemon's keys equal to ours, and tries again until they are (DESIGN section 6). */
export function install(turn: Turn, association: Association): void {
  if (!association.isManaged) return;
  const { driver } = association;
  if (driver.activity.name === "applying" || driver.activity.name === "revoking") {
    superviseDriver(turn, association, driver.activity.since);
    return;
  }
  if (association.session.mode === "observe") return;
  if (driver.activity.name === "unexamined") return;
  if (association.closing !== undefined || association.watch.requestId !== undefined) return;
  const plan = desiredPlan(turn, association);
  if (!isDue(turn, association, plan)) return;
  if (!isStored(association) && !association.isUrgent) return;
  apply(turn, association, plan);
}

function isDue(turn: Turn, association: Association, plan: Plan): boolean {
  const { confirmed, activity, hasDrifted } = association.driver;
  if (confirmed === undefined ? plan.size === 0 : equalPlans(plan, confirmed) && !hasDrifted) return false;
  // A key of somebody else's is in use: nothing is written until there is one to roll to.
  if (association.watch.foreign !== undefined && confirmed === undefined && !hasFreshKey(association)) return false;
  if (activity.name !== "waiting") return true;
  if (turn.now.monotonic >= activity.until || (association.isUrgent && !equalPlans(plan, activity.plan))) return true;
  turn.wake(activity.until);
  return false;
}

function hasFreshKey(association: Association): boolean {
  return association.mkts.some((mkt) => isServing(mkt) && mkt.row.createdBy === "ike" && mkt.situation.name === "held");
}

/** The keys that the daemon should have now. */
export function desiredPlan(turn: Turn, association: Association): Plan {
  const plan = new Map<Mkt, DriverKey["use"]>();
  for (const mkt of association.mkts) {
    if (!isLive(mkt) || mkt.storedGeneration === 0 || mkt.acceptance.name === "refused") continue;
    const { situation } = mkt;
    if (situation.name === "retiring" && situation.isLeaving) continue;
    if (situation.name === "retiring" && situation.why !== "replaced" && mkt.acceptance.name === "absent") continue;
    if (situation.name === "held" && !isAccepted(mkt) && isWaitingToGoIn(turn, association, mkt)) continue;
    plan.set(mkt, useOf(association, mkt));
  }
  return plan;
}

function isWaitingToGoIn(turn: Turn, association: Association, mkt: Mkt): boolean {
  if (isOfChain(mkt)) return waitsForItsDate(turn, association, mkt);
  if (!isWaitingForPeer(association, mkt)) return false;
  if (association.peer?.speaksKarp !== false) return true;
  // It can never say: that it negotiated has to do, after it had time to settle.
  const settled = later(mkt.heldAt, association.session.rollover.settleSeconds);
  turn.wake(settled);
  return turn.now.monotonic < settled;
}

function useOf(association: Association, mkt: Mkt): DriverKey["use"] {
  if (mkt === association.preferred) return "preferred";
  if (isPlaceholder(mkt) && association.preferred !== undefined) return "deprecated";
  return mkt.situation.name === "retiring" ? "deprecated" : "accept";
}

function apply(turn: Turn, association: Association, plan: Plan): void {
  const requestId = turn.ground.nextRequestId(association);
  for (const mkt of plan.keys()) {
    // It may be in the daemon from now on, whatever the answer is.
    if (mkt.acceptance.name === "absent") mkt.acceptance = { name: "unknown" };
  }
  association.isUrgent = false;
  setDriver(association, { activity: { name: "applying", requestId, plan, since: turn.now.monotonic } });
  turn.wake(later(turn.now.monotonic, DRIVER_TIMEOUT_SECONDS));
  turn.effect({ kind: "apply", requestId, session: association.session, keys: driverKeys(plan) });
}

/** As the driver gets them, oldest first. */
export function driverKeys(plan: Plan): readonly DriverKey[] {
  const keys: DriverKey[] = [];
  for (const [mkt, use] of plan) {
    const { row } = mkt;
    if (row.key === undefined) continue;
    keys.push({
      adminKeyName: row.adminKeyName,
      sendId: row.sendId,
      recvId: row.recvId,
      algorithm: row.algorithm,
      coversTcpOptions: row.protocolSpecificInfo.coversTcpOptions,
      masterKey: row.key,
      use,
      ...(isPlaceholder(mkt) && { isPlaceholder: true }),
    });
  }
  return keys;
}

/** The driver's answer; one that comes late, to a request given up, says nothing. */
export function onApplied(turn: Turn, association: Association, requestId: number, outcome: ApplyOutcome): void {
  const { activity } = association.driver;
  if (activity.name !== "applying" || activity.requestId !== requestId) return;
  turn.hasMoved = true;
  switch (outcome.kind) {
    case "installed":
      confirm(turn, association, activity.plan);
      return;
    case "refused":
      refuseKeys(turn, association, outcome);
      break;
    case "lost":
      loseKeys(turn, association, association.mkts.filter(isLive), outcome.reason);
      break;
    case "pending":
    case "foreign":
      break;
  }
  const againAfterSeconds = outcome.kind === "pending" ? outcome.againAfterSeconds : undefined;
  backOff(turn, association, activity.plan, outcome.kind, outcome.reason, againAfterSeconds);
}

/** Every key of the plan is accepted by the daemon now, and no other of ours is. */
function confirm(turn: Turn, association: Association, plan: Plan): void {
  const { trouble } = association.driver;
  setDriver(association, {
    activity: { name: "idle" },
    confirmed: plan,
    trouble: undefined,
    attempts: 0,
    hasDrifted: false,
  });
  if (trouble !== undefined) {
    turn.event(association, "driverRecovered", "info", `the driver holds all keys of ${association.name} again`);
  }
  for (const mkt of association.mkts) {
    if (plan.has(mkt)) mkt.acceptance = { name: "accepted" };
    else if (mkt.acceptance.name !== "refused") mkt.acceptance = { name: "absent" };
  }
  confirmPreference(turn, association, plan);
}

export function confirmPreference(turn: Turn, association: Association, plan: Plan): void {
  const { preferred } = association;
  if (preferred?.situation.name !== "preferred" || plan.get(preferred) !== "preferred") return;
  if (preferred.situation.confirmedAt !== undefined) return;
  preferred.situation = { ...preferred.situation, confirmedAt: turn.now.monotonic };
}

/** held -> installed, once the driver says that the key is accepted; and back when it is gone. */
export function followDriver(turn: Turn, association: Association): void {
  for (const mkt of association.mkts) {
    const since = turn.now.monotonic;
    if (mkt.situation.name === "held" && isAccepted(mkt) && !isPlaceholder(mkt)) {
      turn.enter(association, mkt, { name: "installed", since, barred: undefined });
    } else if (mkt.situation.name === "installed" && isGone(mkt)) {
      turn.enter(association, mkt, { name: "held", since });
    }
  }
}

function isGone({ acceptance }: Mkt): boolean {
  return acceptance.name === "lost" || acceptance.name === "refused";
}

function refuseKeys(
  turn: Turn,
  association: Association,
  outcome: Extract<ApplyOutcome, { readonly kind: "refused" }>,
): void {
  for (const mkt of association.mkts) {
    if (!outcome.adminKeyNames?.includes(mkt.row.adminKeyName) || isAccepted(mkt)) continue;
    mkt.acceptance = { name: "refused", reason: outcome.reason };
    if (!isServing(mkt) || mkt.row.history.current !== undefined) continue;
    if (!association.refusedAlgorithms.includes(mkt.row.algorithm)) {
      association.refusedAlgorithms = [...association.refusedAlgorithms, mkt.row.algorithm];
    }
    giveUp(turn, association, mkt, outcome.reason, "failed");
  }
}

/** Keys that were in the daemon are gone from it: the peer must not count on them. */
export function loseKeys(turn: Turn, association: Association, mkts: readonly Mkt[], reason: string): void {
  const lost = mkts.filter(
    (mkt) => isAccepted(mkt) || (mkt.acceptance.name === "unknown" && mkt.situation.name !== "held"),
  );
  for (const mkt of lost) mkt.acceptance = { name: "lost", reason };
  const { confirmed } = association.driver;
  if (confirmed !== undefined) {
    setDriver(association, { confirmed: new Map([...confirmed].filter(([mkt]) => !lost.includes(mkt))) });
  }
  if (lost.length > 0) {
    association.isUrgent = true;
    turn.event(
      association,
      "driverLost",
      "alarm",
      `keys of ${association.name} are gone from the routing daemon: ${reason}`,
    );
  }
  turn.hasMoved = true;
}

const troubleEvents = {
  pending: ["driverPending", "warning"],
  refused: ["driverRefused", "alarm"],
  lost: ["driverLost", "alarm"],
  foreign: ["driverForeign", "alarm"],
  silent: ["driverPending", "alarm"],
} as const;

/** @param announced in how many seconds the driver expects to be done: what it announces is no failed attempt */
function backOff(
  turn: Turn,
  association: Association,
  plan: Plan,
  kind: Trouble["kind"],
  reason: string,
  announced?: number,
): void {
  const { trouble: former, attempts } = association.driver;
  const { monotonic, wall } = turn.now;
  const isNew = former?.kind !== kind || former.reason !== reason;
  const trouble = { kind, reason, since: former?.since ?? monotonic, sinceWall: former?.sinceWall ?? wall };
  const backedOff = Math.min(60, 2 ** Math.min(attempts, 6)) * (0.75 + turn.random() / 2);
  const until = later(monotonic, announced === undefined ? backedOff : Math.min(LONGEST_WAIT_SECONDS, announced));
  const counted = announced === undefined ? attempts + 1 : attempts;
  setDriver(association, { activity: { name: "waiting", until, plan }, trouble, attempts: counted });
  turn.hasMoved = true;
  if (!isNew) return;
  const [name, severity] = troubleEvents[kind];
  turn.event(association, name, severity, `driver ${association.session.driver}: ${reason}`);
}

function superviseDriver(turn: Turn, association: Association, since: ReturnType<typeof later>): void {
  const due = later(since, DRIVER_TIMEOUT_SECONDS);
  if (turn.now.monotonic < due) {
    turn.wake(due);
    return;
  }
  const { activity } = association.driver;
  const plan = activity.name === "applying" || activity.name === "revoking" ? activity.plan : new Map();
  backOff(turn, association, plan, "silent", `no answer for ${DRIVER_TIMEOUT_SECONDS} s`);
}

export function setDriver(association: Association, change: Partial<Driver>): void {
  association.driver = { ...association.driver, ...change };
}

function equalPlans(a: Plan, b: Plan): boolean {
  if (a.size !== b.size) return false;
  for (const [mkt, use] of a) {
    if (b.get(mkt) !== use) return false;
  }
  return true;
}
