import type { UnixMilliseconds } from "@karp/ikev2";
import type { KeyTableRow } from "./row.ts";
import { type KeyLookup, selectForReceiving, selectForSending } from "./select.ts";
import { formatKeyTableRow } from "./text.ts";

/** One row of the key table as RFC 7210 writes it, without the key. */
export interface KeyTableView {
  readonly session: string;
  readonly adminKeyName: string;
  /** What the lookups of RFC 7210 section 3 say of it now: it is the one to send with; a segment that names it is accepted. */
  readonly isForSending: boolean;
  readonly isForReceiving: boolean;
  /** One field a line, in the order of RFC 7210 section 2. */
  readonly row: string;
}

/** The rows of one session. Tombstones, which have no key any more, are no rows of RFC 7210. */
export function keyTableViews(rows: readonly KeyTableRow[], now: UnixMilliseconds): readonly KeyTableView[] {
  return rows
    .filter(({ key }) => key !== undefined)
    .map((row) => {
      const { session, adminKeyName, peers, protocol, recvId } = row;
      const lookups = peers.map((peer): KeyLookup => ({ peer, protocol }));
      return {
        session,
        adminKeyName,
        isForSending: lookups.some((lookup) => selectForSending(rows, lookup, now) === row),
        isForReceiving: lookups.some((lookup) => selectForReceiving(rows, lookup, recvId, now) === row),
        row: formatKeyTableRow(row, { revealsKey: false }),
      };
    });
}
