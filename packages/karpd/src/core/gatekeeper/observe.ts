import type { Instant } from "@karp/ikev2";
import type { Observation, ObserveOutcome } from "../../ports/routingDriver.ts";
import { later } from "../time.ts";
import {
  type Association,
  currentMkt,
  isAccepted,
  isLive,
  isPlaceholder,
  isServing,
  type Mkt,
  type Proof,
  type Watch,
} from "./association.ts";
import { DRIVER_TIMEOUT_SECONDS, loseKeys, setDriver } from "./install.ts";
import { originFact } from "./makeMkt.ts";
import { removalDueAt } from "./removalRules.ts";
import { isOfChain, isUncounted } from "./solo/dates.ts";
import type { Turn } from "./turn.ts";

/** While a rollover moves, and otherwise. */
const FAST_SECONDS = 1;
const SLOW_SECONDS = 30;
/** A rollover that hangs is not looked at every second for ever. */
const LONGEST_FAST_SECONDS = 600;
/** How often in a row the daemon may ask for another key than we told it before it is told again. */
const MOST_STRAYS = 3;

/** Looks at the routing daemon when it is time to. */
export function observe(turn: Turn, association: Association): void {
  const { watch, driver } = association;
  if (watch.requestId !== undefined) {
    giveUpObservation(turn, association, watch);
    return;
  }
  if (!association.isManaged || !isWorthLooking(association)) return;
  if (!turn.facts(association).observes) {
    examined(turn, association);
    return;
  }
  if (driver.activity.name === "applying" || driver.activity.name === "revoking") return;
  const due = nextLook(turn, association);
  if (turn.now.monotonic < due) {
    turn.wake(due);
    return;
  }
  const requestId = turn.ground.nextRequestId(association);
  setWatch(association, { requestId, requestedAt: turn.now.monotonic });
  turn.wake(later(turn.now.monotonic, DRIVER_TIMEOUT_SECONDS));
  turn.effect({ kind: "observe", requestId, session: association.session });
}

function isWorthLooking(association: Association): boolean {
  return association.driver.activity.name === "unexamined" || association.mkts.some(isLive);
}

function nextLook(turn: Turn, association: Association): Instant {
  const { answeredAt } = association.watch;
  if (association.driver.activity.name === "unexamined" || answeredAt === undefined) return turn.now.monotonic;
  return later(answeredAt, isMoving(turn, association) ? FAST_SECONDS : SLOW_SECONDS);
}

function isMoving(turn: Turn, association: Association): boolean {
  if (association.session.mode === "observe") return false;
  const now = turn.now.monotonic;
  return association.mkts.some((mkt) => {
    const { situation } = mkt;
    if (situation.name === "preferred") return now < later(situation.since, LONGEST_FAST_SECONDS);
    if (situation.name !== "retiring" || isPlaceholder(mkt)) return false;
    if (situation.why !== "replaced") return now < later(situation.since, LONGEST_FAST_SECONDS);
    const drained = later(situation.since, association.session.rollover.drainSeconds + 5);
    const due = removalDueAt(association, situation);
    if (now >= drained) turn.wake(due);
    return now < drained || (now >= due && now < later(due, LONGEST_FAST_SECONDS));
  });
}

export function onObserved(turn: Turn, association: Association, requestId: number, outcome: ObserveOutcome): void {
  if (association.watch.requestId !== requestId) return;
  const at = turn.now.monotonic;
  setWatch(association, { requestId: undefined, requestedAt: undefined, answeredAt: at });
  turn.hasMoved = true;
  if (outcome.kind === "unavailable") {
    setWatch(association, { unavailable: outcome.reason, last: undefined });
  } else {
    learn(turn, association, outcome.observation);
    setWatch(association, { unavailable: undefined, last: { at, observation: outcome.observation } });
  }
  examined(turn, association);
}

/** After a start: from here on the driver may be told what to hold. */
function examined(turn: Turn, association: Association): void {
  if (association.driver.activity.name !== "unexamined") return;
  setDriver(association, { activity: { name: "idle" } });
  turn.hasMoved = true;
}

function learn(turn: Turn, association: Association, observation: Observation): void {
  let otherSegments = 0;
  for (const mkt of association.mkts) {
    const grown = countSegments(turn, mkt, observation);
    if (mkt !== association.preferred) otherSegments += grown;
  }
  const { preferred } = association;
  if (preferred?.situation.name === "preferred" && preferred.situation.confirmedAt !== undefined) {
    preferred.situation = { ...preferred.situation, otherSegments: preferred.situation.otherSegments + otherSegments };
  }
  liftBars(association, observation);
  noticeForeign(turn, association, observation);
  noticeMissing(turn, association, observation);
  noticeStray(turn, association, observation);
  noticeDrift(turn, association, observation);
}

/** How many more segments with this key were accepted. Counters may begin anew with a connection. */
function countSegments(turn: Turn, mkt: Mkt, observation: Observation): number {
  const good = observation.goodByRecvId?.get(mkt.row.recvId);
  const before = mkt.good;
  if (good !== undefined) mkt.good = good;
  if (good !== undefined && good > 0) mkt.wasUsed = true;
  if (observation.receivedKeyId === mkt.row.recvId) mkt.wasUsed = true;
  // Just after a start a counter says that the key was used, not when.
  const grown = good === undefined || before === undefined ? 0 : good < before ? good : good - before;
  if (grown > 0) mkt.usedAt = turn.now.monotonic;
  return grown;
}

/** The peer asks for the key, or sends with it: it stands by it. */
function liftBars(association: Association, observation: Observation): void {
  for (const mkt of association.mkts) {
    if (mkt.situation.name !== "installed" || mkt.situation.barred === undefined) continue;
    if (observation.currentSendId === mkt.row.sendId || mkt.wasUsed)
      mkt.situation = { ...mkt.situation, barred: undefined };
  }
}

/** A key that is none of ours is in use: it is kept, said, and rolled away from (invariant 5). */
function noticeForeign(
  turn: Turn,
  association: Association,
  { currentSendId, rnextRecvId, connections }: Observation,
): void {
  const isOurs =
    connections === 0 ||
    ((currentSendId === undefined || association.mkts.some(({ row }) => row.sendId === currentSendId)) &&
      (rnextRecvId === undefined || association.mkts.some(({ row }) => row.recvId === rnextRecvId)));
  const { foreign } = association.watch;
  if (isOurs) {
    if (foreign !== undefined) setWatch(association, { foreign: undefined });
    return;
  }
  const text = `a key that is not in the key table is in use: SendID ${currentSendId ?? "unknown"}, RecvID ${rnextRecvId ?? "unknown"}`;
  if (foreign?.text === text) return;
  setWatch(association, { foreign: { since: turn.now.monotonic, text } });
  turn.event(association, "driverForeign", "alarm", `${text}; it stays, and is rolled away from`);
}

/** Keys that the driver confirmed and the daemon does not have any more. */
function noticeMissing(turn: Turn, association: Association, observation: Observation): void {
  const { recvIdsPresent } = observation;
  const { confirmed, activity } = association.driver;
  if (recvIdsPresent === undefined || activity.name === "applying") return;
  if (confirmed === undefined) return;
  const missing = [...confirmed.keys()].filter((mkt) => isAccepted(mkt) && !recvIdsPresent.includes(mkt.row.recvId));
  if (missing.length === 0) {
    if (association.driver.losses > 0) setDriver(association, { losses: association.driver.losses - 1 });
    return;
  }
  // Once may be a restart of the daemon; again and again, the driver's word is not worth much.
  const losses = Math.min(association.driver.losses + 2, 16);
  const until = later(turn.now.monotonic, losses > 2 ? 2 ** (losses / 2) : 0);
  loseKeys(turn, association, missing, "the routing daemon does not have them any more");
  setDriver(association, { losses, activity: { name: "waiting", until, plan: new Map() } });
  association.isUrgent = losses <= 2;
}

/** The daemon asks the peer for another key than the confirmed plan says. */
function noticeStray(turn: Turn, association: Association, { connections, rnextRecvId }: Observation): void {
  const { preferred, driver, watch } = association;
  const isConfirmed = preferred !== undefined && driver.confirmed?.get(preferred) === "preferred";
  if (!isConfirmed || rnextRecvId === undefined || connections === 0 || rnextRecvId === preferred.row.recvId) {
    if (watch.strayCount > 0) setWatch(association, { strayCount: 0 });
    return;
  }
  setWatch(association, { strayCount: watch.strayCount + 1 });
  if (watch.strayCount + 1 < MOST_STRAYS) return;
  setWatch(association, { strayCount: 0 });
  setDriver(association, { hasDrifted: true });
  turn.event(
    association,
    "driverPending",
    "warning",
    `the routing daemon asks for RecvID ${rnextRecvId}, not for ${preferred.row.recvId}: applied again`,
    { mkt: preferred },
  );
}

/** Somebody changed what the driver wrote: applied again, which repairs what is ours and names what is not. */
function noticeDrift(turn: Turn, association: Association, { drift }: Observation): void {
  const { confirmed, activity, hasDrifted } = association.driver;
  if (drift === undefined || confirmed === undefined || activity.name !== "idle" || hasDrifted) return;
  setDriver(association, { hasDrifted: true });
  turn.event(association, "driverDrifted", "warning", `driver ${association.session.driver}: ${drift}`);
}

/** preferred -> current, when it is proven; the older ones retire. */
export function judgeCurrent(turn: Turn, association: Association): void {
  reviewProof(association);
  const mkt = association.preferred;
  if (mkt === undefined || mkt.situation.name !== "preferred") return;
  const proof = turn.ground.rules.provenCurrent(association, mkt, turn.facts(association));
  if (proof !== undefined) becomeCurrent(turn, association, mkt, proof);
}

/** A key that became current without traffic is seen in use later, or the peer is seen to ask for another. */
function reviewProof(association: Association): void {
  const mkt = currentMkt(association);
  const sendId = association.watch.last?.observation.currentSendId;
  if (mkt?.situation.name !== "current" || sendId === undefined) return;
  const isAskedFor = sendId === mkt.row.sendId;
  const observation = association.watch.last?.observation;
  const isAsked = isOfChain(mkt) && observation !== undefined && isUncounted(observation);
  const proof = !isAskedFor ? "restored" : mkt.wasUsed ? "traffic" : isAsked ? "asked" : mkt.situation.proof;
  if (proof !== mkt.situation.proof) mkt.situation = { ...mkt.situation, proof };
}

function becomeCurrent(turn: Turn, association: Association, mkt: Mkt, proof: Proof): void {
  const since = turn.now.monotonic;
  turn.enter(association, mkt, { name: "current", since, proof });
  const place = association.mkts.indexOf(mkt);
  const former = association.mkts.filter((other, index) => index < place && isServing(other));
  for (const other of former) retire(turn, association, other, `key ${mkt.fingerprint} is in use`);
  if (mkt.origin !== undefined) association.changes.push({ kind: "deleteFact", name: originFact(mkt) });
  if (!association.wasKeyed) {
    association.wasKeyed = true;
    association.changes.push({ kind: "setFact", name: `keyed:${association.name}`, value: "1" });
  }
  association.completedRollovers += former.length > 0 ? 1 : 0;
  const how = {
    traffic: "both ends send with it",
    peer: "the peer says so",
    idle: "there is no connection, both ends are ready",
    restored: "as before",
    asked: "the neighbour asks for it",
  };
  turn.event(association, "rolloverCompleted", "info", `key ${mkt.fingerprint} is current: ${how[proof]}`, {
    mkt,
    data: { proof },
  });
}

function retire(turn: Turn, association: Association, mkt: Mkt, reason: string): void {
  const since = turn.now.monotonic;
  const deletion = { name: "notSent" } as const;
  turn.enter(association, mkt, {
    name: "retiring",
    since,
    why: "replaced",
    reason,
    deletion,
    unpreferredAt: undefined,
    isLeaving: false,
  });
}

function giveUpObservation(turn: Turn, association: Association, watch: Watch): void {
  const due = later(watch.requestedAt ?? turn.now.monotonic, DRIVER_TIMEOUT_SECONDS);
  if (turn.now.monotonic < due) {
    turn.wake(due);
    return;
  }
  setWatch(association, {
    requestId: undefined,
    requestedAt: undefined,
    answeredAt: turn.now.monotonic,
    unavailable: "the driver does not answer",
  });
  examined(turn, association);
}

function setWatch(association: Association, change: Partial<Watch>): void {
  association.watch = { ...association.watch, ...change };
}
