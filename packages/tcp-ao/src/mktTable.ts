import { identifiersOverlap, type SocketPair } from "./connectionIdentifier.ts";
import { TcpAoUsageError } from "./errors.ts";
import { type MasterKeyTuple, Mkt } from "./mkt.ts";

/** The MKTs installed on a host. */
export class MktTable {
  readonly #mkts: Mkt[] = [];

  /** @throws TcpAoUsageError `overlappingSendId`, `overlappingRecvId`, or for a component that makes no sense */
  add(tuple: MasterKeyTuple): Mkt {
    const mkt = new Mkt(tuple);
    for (const other of this.#mkts) assertNoOverlap(mkt, other);
    this.#mkts.push(mkt);
    return mkt;
  }

  /** Takes the MKT out and erases its key. */
  remove(mkt: Mkt): void {
    this.#mkts.splice(this.#mkts.indexOf(mkt), 1);
    mkt.erase();
  }

  /** In the order of installation. */
  all(): readonly Mkt[] {
    return this.#mkts;
  }

  /** @throws TcpAoUsageError `unknownMkt` */
  assertInstalled(mkt: Mkt): void {
    if (!this.#mkts.includes(mkt)) throw new TcpAoUsageError("unknownMkt", "this MKT is not installed here");
  }

  matching(pair: SocketPair): readonly Mkt[] {
    return this.#mkts.filter((mkt) => mkt.matches(pair));
  }
}

/** "The IDs of MKTs MUST NOT overlap where their TCP connection identifiers overlap", RFC 5925 section 3.1. */
function assertNoOverlap(mkt: Mkt, other: Mkt): void {
  if (!identifiersOverlap(mkt.connectionIdentifier, other.connectionIdentifier)) return;
  if (mkt.sendId === other.sendId) {
    const message = `SendID ${mkt.sendId} is taken by an MKT for the same connections (RFC 5925 section 3.1)`;
    throw new TcpAoUsageError("overlappingSendId", message);
  }
  if (mkt.recvId === other.recvId) {
    const message = `RecvID ${mkt.recvId} is taken by an MKT for the same connections (RFC 5925 section 3.1)`;
    throw new TcpAoUsageError("overlappingRecvId", message);
  }
}
