import { formatRfc3339 } from "../time.ts";
import type { Association } from "./association.ts";
import type { Turn } from "./turn.ts";

/** `karp unmanage`: the session is left to people until `karp manage`. Its value is the moment, RFC 3339. */
export function unmanagedFact(session: string): string {
  return `unmanaged:${session}`;
}

/** @returns the fact */
export function noteUnmanaged(turn: Turn, association: Association): readonly [string, string] {
  const name = unmanagedFact(association.name);
  const value = formatRfc3339(turn.now.wall);
  association.changes.push({ kind: "setFact", name, value });
  turn.hasMoved = true;
  const text = `session ${association.name} is left to people: its keys stay as they are; karp manage ${association.name} takes it back`;
  turn.event(association, "unmanaged", "warning", text);
  return [name, value];
}

/** @returns the fact that is no more */
export function noteManaged(turn: Turn, association: Association): string {
  const name = unmanagedFact(association.name);
  association.changes.push({ kind: "deleteFact", name });
  turn.hasMoved = true;
  turn.event(association, "managed", "info", `karp manages session ${association.name} again`);
  return name;
}
