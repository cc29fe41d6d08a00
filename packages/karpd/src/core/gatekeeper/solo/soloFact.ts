import type { UnixMilliseconds } from "@karp/ikev2";
import type { Association, Solo } from "../association.ts";

/** What is remembered of a session's chains beside their keys. */
export function soloFact(session: string): string {
  return `solo:${session}`;
}

export function parseSolo(text: string | undefined): Solo | undefined {
  const [, chain, at] = /^(\d+):(\d*)$/.exec(text ?? "") ?? [];
  if (chain === undefined) return undefined;
  const handedOutAt = at === undefined || at === "" ? undefined : (Number(at) as UnixMilliseconds);
  return { chain: Number(chain), handedOutAt, askedAt: undefined, late: new Set() };
}

/** Notes it, and has it stored. */
export function setSolo(association: Association, solo: Solo): void {
  const { chain, handedOutAt } = association.solo ?? {};
  association.solo = solo;
  if (chain === solo.chain && handedOutAt === solo.handedOutAt) return;
  const value = `${solo.chain}:${solo.handedOutAt === undefined ? "" : Math.round(solo.handedOutAt)}`;
  association.changes.push({ kind: "setFact", name: soloFact(association.name), value });
}
