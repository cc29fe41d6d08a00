import type { UnixMilliseconds } from "@karp/ikev2";
import type { KeyTableRow, MktState } from "./row.ts";

/**
 * SendLifetimeStart and SendLifetimeEnd of a row that enters a state (RFC 7210 section 2): it may be sent with from
 * when it is preferred until it retires, and not while it is merely accepted, also when it was preferred before.
 */
export function withSendLifetime(row: KeyTableRow, state: MktState, now: UnixMilliseconds): KeyTableRow {
  const { sendLifetimeStart, sendLifetimeEnd, ...rest } = row;
  if (row.createdBy === "solo") return withDates(row, state, now);
  switch (state) {
    case "held":
    case "installed":
      return rest;
    case "preferred":
      return { ...rest, sendLifetimeStart: now };
    case "current":
      return { ...rest, sendLifetimeStart: sendLifetimeEnd === undefined ? (sendLifetimeStart ?? now) : now };
    case "retiring":
    case "removed":
    case "failed": {
      const start = sendLifetimeStart === undefined ? {} : { sendLifetimeStart };
      return { ...rest, ...start, sendLifetimeEnd: sendLifetimeEnd ?? now };
    }
  }
}

/** The dates of a key that a neighbour was given are what they are; only its end may come earlier. */
function withDates(row: KeyTableRow, state: MktState, now: UnixMilliseconds): KeyTableRow {
  const isOver = state === "retiring" || state === "removed" || state === "failed";
  if (!isOver || (row.sendLifetimeEnd !== undefined && row.sendLifetimeEnd <= now)) return row;
  return { ...row, sendLifetimeEnd: now };
}
