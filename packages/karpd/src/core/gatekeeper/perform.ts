import type { Command, CommandReply } from "../machine.ts";
import type { Association, Mkt } from "./association.ts";
import { type Answer, deleteKey, type Entitlement, insertKey, onSessionCommand } from "./commands.ts";
import { freeze, MOST_FREEZE_SECONDS, thaw } from "./freeze.ts";
import { replyWhenStored } from "./reply.ts";
import type { Turn } from "./turn.ts";

/** Where commands find what they name. */
export interface Roll {
  /** All sessions, those that are not managed any more too. */
  readonly associations: ReadonlyMap<string, Association>;
  readonly mayReadKeys: Entitlement;
  /** It is looked at before the turn ends. */
  touch(association: Association): void;
}

/** Does what a person or a program asks for. A reply, or undefined when it comes later. */
export function perform(turn: Turn, roll: Roll, requestId: number, command: Command): Answer {
  switch (command.kind) {
    case "freeze":
    case "thaw":
      return onFreezeCommand(turn, roll, requestId, command);
    case "Keytable_delete": {
      const found = findKey(roll, command.adminKeyName);
      if (found === undefined) return { ok: false, code: "noKey", text: `there is no key ${command.adminKeyName}` };
      roll.touch(found.association);
      return deleteKey(turn, found.association, found.mkt, command.caller, requestId, roll.mayReadKeys);
    }
    case "Keytable_insertSA": {
      const association = managed(roll, command.row.session);
      if (association === undefined) return noSuchSession(command.row.session);
      roll.touch(association);
      return insertKey(turn, association, command.row, command.caller, requestId, roll.mayReadKeys, false);
    }
    default: {
      const association = managed(roll, command.session);
      if (association === undefined) return noSuchSession(command.session);
      roll.touch(association);
      return onSessionCommand(turn, association, command, requestId, roll.mayReadKeys);
    }
  }
}

/** `karp freeze` and `karp thaw`, for one session or all. */
function onFreezeCommand(
  turn: Turn,
  roll: Roll,
  requestId: number,
  command: Extract<Command, { readonly kind: "freeze" | "thaw" }>,
): Answer {
  const named = associationsNamed(roll, command.session);
  if (named === undefined) return noSuchSession(command.session);
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

function noSuchSession(session: string | undefined): CommandReply {
  return { ok: false, code: "noSuchSession", text: `there is no session ${session ?? ""}` };
}
