import type { Association } from "./association.ts";

/** Somebody wants a new MKT: remembered across a restart, until there is one. */
export function setRequest(association: Association, reason: string): void {
  association.request = reason;
  association.changes.push({ kind: "setFact", name: requestFact(association.name), value: reason });
}

export function clearRequest(association: Association): void {
  if (association.request === undefined) return;
  association.request = undefined;
  association.changes.push({ kind: "deleteFact", name: requestFact(association.name) });
}

export function requestFact(session: string): string {
  return `request:${session}`;
}
