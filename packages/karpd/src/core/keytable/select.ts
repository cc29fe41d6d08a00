import type { UnixMilliseconds } from "@karp/ikev2";
import type { KeyTableRow } from "./row.ts";

/** What a protocol brings to the key table when it looks for a key (RFC 7210 section 3). */
export interface KeyLookup {
  /** H: the address of the far end. */
  readonly peer: string;
  /** P: "TCP-AO". */
  readonly protocol: string;
  /** I, where the protocol knows one. */
  readonly interface?: string;
}

/**
 * The key for an outgoing message: of all rows that fit, the one with the most recent SendLifetimeStart
 * (RFC 7210 section 3, conditions (1) to (5) and the recommendation after them).
 */
export function selectForSending(
  rows: readonly KeyTableRow[],
  lookup: KeyLookup,
  now: UnixMilliseconds,
): KeyTableRow | undefined {
  let newest: KeyTableRow | undefined;
  for (const row of rows) {
    if (!isInScope(row, lookup) || !isSendable(row, now)) continue;
    if (newest === undefined || (row.sendLifetimeStart ?? 0) >= (newest.sendLifetimeStart ?? 0)) newest = row;
  }
  return newest;
}

/** The key for an incoming message that names `recvId` as its KeyID (RFC 7210 section 3, its second list of conditions). */
export function selectForReceiving(
  rows: readonly KeyTableRow[],
  lookup: KeyLookup,
  recvId: number,
  now: UnixMilliseconds,
): KeyTableRow | undefined {
  return rows.find((row) => row.recvId === recvId && isInScope(row, lookup) && isAcceptable(row, now));
}

function isInScope(row: KeyTableRow, lookup: KeyLookup): boolean {
  return (
    row.key !== undefined &&
    row.peers.includes(lookup.peer) &&
    row.protocol === lookup.protocol &&
    (lookup.interface === undefined || row.interfaces === "all" || row.interfaces === lookup.interface)
  );
}

function isSendable(row: KeyTableRow, now: UnixMilliseconds): boolean {
  if (row.direction !== "out" && row.direction !== "both") return false;
  return row.sendLifetimeStart !== undefined && isWithin(now, row.sendLifetimeStart, row.sendLifetimeEnd);
}

function isAcceptable(row: KeyTableRow, now: UnixMilliseconds): boolean {
  if (row.direction !== "in" && row.direction !== "both") return false;
  return isWithin(now, row.acceptLifetimeStart, row.acceptLifetimeEnd);
}

function isWithin(now: UnixMilliseconds, start: UnixMilliseconds, end: UnixMilliseconds | undefined): boolean {
  return start <= now && (end === undefined || now <= end);
}
