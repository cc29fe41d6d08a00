import { KeyState } from "@karp/ikev2";
import { later, minuteOfDay } from "../time.ts";
import {
  type Association,
  candidates,
  currentMkt,
  liveMkts,
  type Mkt,
  MOST_LIVE_MKTS,
  type Obstacle,
} from "./association.ts";
import type { Turn } from "./turn.ts";

/** What keeps a rollover that is wanted from beginning now. */
export function obstacleTo(turn: Turn, association: Association, wantedBecause: string): Obstacle | undefined {
  const failure = turn.ground.storeFailure();
  if (failure !== undefined) return obstacle("store", `the key table cannot be stored: ${failure.reason}`);
  if (liveMkts(association).length >= MOST_LIVE_MKTS) {
    return obstacle("clock", `${MOST_LIVE_MKTS} keys are alive: the older ones have to be removed first`);
  }
  if (currentMkt(association) === undefined) return undefined;
  if (association.watch.foreign === undefined && hasUncertain(turn, association)) {
    return obstacle("driver", "the driver has not shown whether the last new key is in use");
  }
  return (
    frozen(turn, association) ?? (association.request === wantedBecause ? undefined : outsideWindow(turn, association))
  );
}

/** `expected`: somebody set it up so; nothing that a person must look at. */
function obstacle(whom: Obstacle["whom"], reason: string, isExpected = false): Obstacle {
  return { whom, reason, severity: isExpected ? "info" : "warning" };
}

function hasUncertain(turn: Turn, association: Association): boolean {
  return candidates(association).some((mkt) => isUncertain(turn, association, mkt) && !isInUse(turn, association, mkt));
}

function frozen(turn: Turn, { frozenUntil, peer }: Association): Obstacle | undefined {
  if (frozenUntil !== undefined) {
    turn.wake(frozenUntil);
    return obstacle("operator", "rollovers are frozen here", true);
  }
  if (peer?.frozenUntil === undefined || peer.frozenUntil <= turn.now.monotonic) return undefined;
  turn.wake(peer.frozenUntil);
  return obstacle("peer", "the peer has frozen rollovers", true);
}

/** The daily window in which rollovers begin; one that would come after the hard lifetime does not wait for it. */
function outsideWindow(turn: Turn, association: Association): Obstacle | undefined {
  const { window } = association.session.rollover;
  if (window === undefined) return undefined;
  const minute = minuteOfDay(turn.now.wall);
  const length = (window.endMinute - window.startMinute + 1440) % 1440;
  const into = (minute - window.startMinute + 1440) % 1440;
  if (into < length || length === 0) return undefined;
  const waitSeconds = (1440 - into) * 60 - ((turn.now.wall / 1000) % 60);
  const opens = later(turn.now.monotonic, waitSeconds);
  const hardAt = currentMkt(association)?.hardAt;
  if (hardAt !== undefined && later(opens, 3600) > hardAt) return undefined;
  turn.wake(opens);
  return obstacle("clock", "the daily window for rollovers is closed", true);
}

/** A preferred key of which it is not known that nobody uses it: the driver cannot say, or has not said. */
export function mayBeInUse(turn: Turn, association: Association, mkt: Mkt): boolean {
  return isInUse(turn, association, mkt) || isUncertain(turn, association, mkt);
}

export function isInUse(turn: Turn, association: Association, mkt: Mkt): boolean {
  if (mkt.wasUsed || mkt.row.peerState === KeyState.inUse) return true;
  return mkt.situation.name === "preferred" && !turn.facts(association).observes;
}

function isUncertain(turn: Turn, { watch, session }: Association, { situation }: Mkt): boolean {
  if (situation.name !== "preferred") return false;
  if (situation.confirmedAt === undefined || watch.last === undefined) return true;
  const triedUntil = later(situation.confirmedAt, session.rollover.preferTimeoutSeconds);
  if (turn.now.monotonic < triedUntil) turn.wake(triedUntil);
  return turn.now.monotonic < triedUntil || watch.last.at < situation.confirmedAt;
}
