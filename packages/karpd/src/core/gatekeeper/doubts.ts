import type { IkePeer } from "@karp/ikev2";
import { later } from "../time.ts";
import type { Association } from "./association.ts";
import type { Turn } from "./turn.ts";

/** The peer may hold an MKT with this SendID of ours: it is asked to delete it, and the id rests. */
export function doubt(turn: Turn, association: Association, peer: IkePeer, sendId: number): void {
  turn.ground.keyIds.reserve(peer, sendId, association);
  const others = association.doubtful.filter((other) => other.sendId !== sendId);
  association.doubtful = [...others, { sendId, deletion: { name: "notSent" }, since: turn.now.monotonic }];
}

/** Once the peer answered the D, the SendID rests as one of a removed MKT does. */
export function forgetDoubts(turn: Turn, association: Association): void {
  for (const { sendId, deletion } of association.doubtful) {
    if (deletion.name !== "answered") continue;
    const rested = later(deletion.at, association.session.rollover.quarantineSeconds);
    if (turn.now.monotonic < rested) {
      turn.wake(rested);
      continue;
    }
    association.doubtful = association.doubtful.filter((other) => other.sendId !== sendId);
    forgetSendId(turn, association, sendId);
  }
}

/** The fact that remembers a SendID that the peer may know of. */
export function askedFact(session: string, sendId: number): string {
  return `asked:${session}/${sendId}`;
}

/** By session, from what the store had. */
export function askedSendIds(facts: ReadonlyMap<string, string>): Map<string, readonly number[]> {
  const asked = new Map<string, readonly number[]>();
  for (const name of facts.keys()) {
    const [, session, sendId] = /^asked:(.*)\/(\d+)$/.exec(name) ?? [];
    if (session !== undefined) asked.set(session, [...(asked.get(session) ?? []), Number(sendId)]);
  }
  return asked;
}

/** No MKT of the peer's has this SendID, or ours has a row of its own. */
export function forgetSendId(turn: Turn, association: Association, sendId: number): void {
  association.changes.push({ kind: "deleteFact", name: askedFact(association.name, sendId) });
  if (association.peer !== undefined) turn.ground.keyIds.unreserve(association.peer.config, sendId, association);
  turn.hasMoved = true;
}
