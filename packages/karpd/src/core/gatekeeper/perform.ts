import type { Command, CommandReply } from "../machine.ts";
import type { Entitlement } from "./answers.ts";
import type { Association, Mkt } from "./association.ts";
import { type Answer, deleteKey, insertKey, onSessionCommand } from "./commands.ts";
import { freeze, MOST_FREEZE_SECONDS, thaw } from "./freeze.ts";
import { replyWhenStored } from "./reply.ts";
import type { Turn } from "./turn.ts";

/** Where commands find what they name. */
export interface Roll {
  /** All sessions, those that are not managed any more too. */
  readonly associations: ReadonlyMap<string, Association>;
  readonly mayUseKeys: Entitlement;
  /** It is looked at before the turn ends. */
  touch(association: Association): void;
  /** RFC 3339; undefined: it is managed, or not configured. */
  unmanagedSince(association: Association): string | undefined;
  unmanage(association: Association): void;
  manage(association: Association): void;
}

/** Does what a person or a program asks for. A reply, or undefined when it comes later. */
export function perform(turn: Turn, roll: Roll, requestId: number, command: Command): Answer {
  switch (command.kind) {
    case "freeze":
    case "thaw":
      return onFreezeCommand(turn, roll, requestId, command);
    case "unmanage":
      return unmanage(turn, roll, requestId, command.session);
    case "manage":
      return manage(turn, roll, requestId, command.session);
    case "Keytable_delete": {
      const found = findKey(roll, command.adminKeyName);
      if (found === undefined) return { ok: false, code: "noKey", text: `there is no key ${command.adminKeyName}` };
      roll.touch(found.association);
      return deleteKey(turn, found.association, found.mkt, command.caller, requestId, roll.mayUseKeys);
    }
    case "Keytable_insertSA": {
      const association = managed(roll, command.row.session);
      if (association === undefined) return notManaged(roll, command.row.session);
      roll.touch(association);
      return insertKey(turn, association, command.row, command.caller, requestId, roll.mayUseKeys, false);
    }
    default: {
      const association = managed(roll, command.session);
      if (association === undefined) return notManaged(roll, command.session);
      roll.touch(association);
      return onSessionCommand(turn, association, command, requestId, roll.mayUseKeys);
    }
  }
}

/** Its keys stay where they are, and karp leaves the session alone until `manage`, over restarts too. */
function unmanage(turn: Turn, roll: Roll, requestId: number, session: string): Answer {
  const association = managed(roll, session);
  if (association === undefined) return notManaged(roll, session);
  if (association.closing !== undefined)
    return { ok: false, code: "busy", text: `the keys of ${session} are being revoked` };
  const { activity } = association.driver;
  // Its answer would come when people have begun to work on the keys
  if (activity.name === "applying" || activity.name === "revoking")
    return {
      ok: false,
      code: "busy",
      text: `the keys of ${session} are being written just now; try again in a moment`,
    };
  roll.unmanage(association);
  const reply = { ok: true, text: `karp leaves session ${session} alone; its keys stay in place` } as const;
  replyWhenStored(turn, [association], { requestId, reply, promise: `that ${session} is not managed` });
  return undefined;
}

function manage(turn: Turn, roll: Roll, requestId: number, session: string): Answer {
  if (managed(roll, session) !== undefined) return { ok: true, text: `karp manages session ${session} already` };
  const association = roll.associations.get(session);
  if (association === undefined || roll.unmanagedSince(association) === undefined) return noSuchSession(session);
  roll.manage(association);
  const reply = { ok: true, text: `karp manages session ${session} again` } as const;
  replyWhenStored(turn, [association], { requestId, reply, promise: `that ${session} is managed` });
  return undefined;
}

/** `karp freeze` and `karp thaw`, for one session or all. */
function onFreezeCommand(
  turn: Turn,
  roll: Roll,
  requestId: number,
  command: Extract<Command, { readonly kind: "freeze" | "thaw" }>,
): Answer {
  const named = associationsNamed(roll, command.session);
  if (named === undefined) return notManaged(roll, command.session ?? "");
  const text = nameAll(named);
  for (const association of named) roll.touch(association);
  if (command.kind === "freeze") {
    const { seconds } = command;
    if (!(seconds > 0 && seconds <= MOST_FREEZE_SECONDS)) {
      return { ok: false, code: "badDuration", text: `freeze for 1 to ${MOST_FREEZE_SECONDS} s` };
    }
    for (const association of named) freeze(turn, association, seconds);
    const reply = { ok: true, text: `rollovers of ${text} are frozen for ${seconds} s` } as const;
    replyWhenStored(turn, named, { requestId, reply, promise: `the freeze of ${text}` });
    return undefined;
  }
  if (named.every(({ frozenUntil }) => frozenUntil === undefined)) {
    return { ok: true, text: `rollovers of ${text} were not frozen` };
  }
  for (const association of named) thaw(turn, association, "somebody thawed it");
  const reply = { ok: true, text: `rollovers of ${text} may begin again` } as const;
  replyWhenStored(turn, named, { requestId, reply, promise: `the thaw of ${text}` });
  return undefined;
}

function nameAll(associations: readonly Association[]): string {
  const [only] = associations;
  return associations.length === 1 && only !== undefined ? only.name : `${associations.length} sessions`;
}

function associationsNamed(roll: Roll, session: string | undefined): readonly Association[] | undefined {
  if (session === undefined) return [...roll.associations.values()].filter(({ isManaged }) => isManaged);
  const association = managed(roll, session);
  return association === undefined ? undefined : [association];
}

function managed({ associations }: Roll, session: string): Association | undefined {
  const association = associations.get(session);
  return association?.isManaged ? association : undefined;
}

function findKey(
  { associations }: Roll,
  adminKeyName: string,
): { readonly association: Association; readonly mkt: Mkt } | undefined {
  const association = associations.get(adminKeyName.slice(0, Math.max(0, adminKeyName.lastIndexOf("/"))));
  const mkt = association?.mkts.find(({ row }) => row.adminKeyName === adminKeyName);
  return association === undefined || mkt === undefined || mkt.row.key === undefined ? undefined : { association, mkt };
}

function notManaged(roll: Roll, session: string): CommandReply {
  const association = roll.associations.get(session);
  const since = association && roll.unmanagedSince(association);
  if (since === undefined) return noSuchSession(session);
  const text = `session ${session} is left to people since ${since}; karp takes it back with: karp manage ${session}`;
  return { ok: false, code: "unmanaged", text };
}

function noSuchSession(session: string | undefined): CommandReply {
  return { ok: false, code: "noSuchSession", text: `there is no session ${session ?? ""}` };
}
