import { formatRfc3339, later, wallLater } from "../../time.ts";
import { type Association, candidates, currentMkt, type Mkt } from "../association.ts";
import type { Turn } from "../turn.ts";
import { chainOf, instantOf, isDue, isOfChain, patienceSeconds, renewalAt } from "./dates.ts";
import { setSolo } from "./soloFact.ts";

/** Asked for again so often. */
const REPEAT_SECONDS = 86_400;

/** What people have to hear of a neighbour that cannot speak for itself. */
export function watchNeighbour(turn: Turn, association: Association): void {
  if (association.solo === undefined) return;
  reviewEnd(turn, association);
  tellLate(turn, association);
  askForHandout(turn, association);
}

/** A clock that was a year ahead when karp started made them look old: what it says now counts. */
function reviewEnd(turn: Turn, association: Association): void {
  for (const mkt of chainOf(association)) {
    const { hardExpiresAt } = mkt.row;
    if (!mkt.hasExpired || hardExpiresAt === undefined || hardExpiresAt <= turn.now.wall) continue;
    mkt.hasExpired = false;
    mkt.hardAt = later(turn.now.monotonic, (hardExpiresAt - turn.now.wall) / 1000);
  }
}

/** A key whose date has come and that the neighbour has not been seen to use, while an older one is in use. */
export function lateKey(association: Association, now: Turn["now"]): Mkt | undefined {
  if (currentMkt(association) === undefined) return undefined;
  return candidates(association).findLast((mkt) => isOfChain(mkt) && isDue(mkt, now));
}

function tellLate(turn: Turn, association: Association): void {
  const { solo } = association;
  const mkt = lateKey(association, turn.now);
  const current = currentMkt(association);
  const { sendLifetimeStart, sendLifetimeEnd } = mkt?.row ?? {};
  if (solo === undefined || mkt === undefined || sendLifetimeStart === undefined || solo.late.has(mkt)) return;
  const every = ((sendLifetimeEnd ?? sendLifetimeStart) - sendLifetimeStart) / 1000;
  const late = wallLater(sendLifetimeStart, patienceSeconds(every) + association.session.rollover.preferTimeoutSeconds);
  if (turn.now.wall < late) {
    turn.wake(instantOf(late, turn.now));
    return;
  }
  setSolo(association, { ...solo, late: new Set([...solo.late, mkt]) });
  const text =
    `the neighbour has not switched to key ${mkt.fingerprint} (KeyID ${mkt.row.recvId}), due since ` +
    `${formatRfc3339(sendLifetimeStart)}: key ${current?.fingerprint} stays; look at the neighbour's key chain and clock`;
  turn.event(association, "neighbourLate", "alarm", text, { mkt });
}

/** True when the keys that are there end soon, or have ended, and nobody has asked for more. */
export function isRenewalDue(association: Association, now: Turn["now"]): boolean {
  const at = renewalDate(association);
  return at !== undefined && at <= now.wall;
}

export function renewalDate(association: Association): Turn["now"]["wall"] | undefined {
  const { solo } = association.session;
  const end = chainOf(association).at(-1)?.row.sendLifetimeEnd;
  return solo === undefined || end === undefined ? undefined : renewalAt(end, solo.everySeconds);
}

function askForHandout(turn: Turn, association: Association): void {
  const { solo, name } = association;
  const at = renewalDate(association);
  if (solo?.handedOutAt === undefined || at === undefined || association.peer !== undefined) return;
  if (turn.now.wall < at) {
    turn.wake(instantOf(at, turn.now));
    return;
  }
  const repeatAt = solo.askedAt === undefined ? turn.now.monotonic : later(solo.askedAt, REPEAT_SECONDS);
  if (turn.now.monotonic < repeatAt) {
    turn.wake(repeatAt);
    return;
  }
  setSolo(association, { ...solo, askedAt: turn.now.monotonic });
  const end = chainOf(association).at(-1)?.row.sendLifetimeEnd;
  const when = end === undefined ? "soon" : formatRfc3339(end);
  const text = `the keys that the neighbour has end ${when}: give it the next ones with: karp handout ${name}`;
  turn.event(association, "handoutDue", "alarm", text);
}
