import type { SessionConfiguration } from "../configuration.ts";
import type { EventName } from "../events.ts";
import type { CommandReply, LocalCaller } from "../machine.ts";
import type { Association, Mkt } from "./association.ts";
import type { Turn } from "./turn.ts";

/** Who may read the keys of a session, and who may insert, delete and hand them out (invariant 6). */
export type Entitlement = (caller: LocalCaller, session: SessionConfiguration, what: "read" | "change") => boolean;

export function refuseCaller(turn: Turn, association: Association, caller: LocalCaller, what: string): CommandReply {
  const text = `uid ${caller.uid} (pid ${caller.pid}) may not ${what} keys of ${association.name}`;
  turn.event(association, "keyRead", "warning", text, { data: { uid: caller.uid, pid: caller.pid, allowed: false } });
  return refuse("notEntitled", text);
}

/** Who did what with a key, for the record. */
export function audit(
  turn: Turn,
  association: Association,
  name: EventName,
  text: string,
  caller: LocalCaller,
  mkt?: Mkt,
): void {
  const { uid, gid, pid } = caller;
  turn.event(association, name, "info", text, { mkt, data: { uid, gid, pid, allowed: true } });
}

export function refuse(
  code: string,
  text: string,
): { readonly ok: false; readonly code: string; readonly text: string } {
  return { ok: false, code, text };
}
