import type { CommandReply } from "../machine.ts";
import { later, secondsBetween } from "../time.ts";
import { type Association, newestServing } from "./association.ts";
import { setRequest } from "./request.ts";
import type { Turn } from "./turn.ts";

/** How often a connection that waits may begin or hasten a negotiation: whoever sends SYNs decides how often it asks. */
export const SELDOM_SECONDS = 10;

/**
 * A connection of the session is held until there is a key, or came with one that is not known here. Where there is no
 * key, one is negotiated now; a key that is there is never replaced by this, and a revocation never undone.
 */
export function onWanted(turn: Turn, association: Association, reason: string): CommandReply {
  const { name, negotiation, wantedAt } = association;
  if (association.revokedBecause !== undefined || association.closing !== undefined) {
    return refuse("revoked", `the keys of ${name} are revoked; ask for a new one with: karp rekey ${name}`);
  }
  const newest = newestServing(association);
  if (newest !== undefined) return { ok: true, text: `${name} has key ${newest.fingerprint} (${newest.row.state})` };
  if (association.peer === undefined) return refuse("noPeer", `no peer may key ${name}`);
  if (negotiation.name === "negotiating" || negotiation.name === "reserving") {
    return { ok: true, text: `a key for ${name} is being negotiated` };
  }
  const next = wantedAt === undefined ? turn.now.monotonic : later(wantedAt, SELDOM_SECONDS);
  if (turn.now.monotonic < next) {
    const seconds = Math.ceil(secondsBetween(turn.now.monotonic, next));
    return refuse("tooOften", `a key for ${name} was wanted just now; the next time counts in ${seconds} s`);
  }
  association.wantedAt = turn.now.monotonic;
  if (association.request === undefined) setRequest(association, reason);
  if (negotiation.name === "wanted") association.negotiation = { ...negotiation, notBefore: turn.now.monotonic };
  turn.hasMoved = true;
  return { ok: true, text: `a key for ${name} is being negotiated` };
}

function refuse(code: string, text: string): CommandReply {
  return { ok: false, code, text };
}
