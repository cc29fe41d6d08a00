import { type ConnectionIdentifier, type Mkt, TcpAoEndpoint, TcpAoUsageError } from "@karp/tcp-ao";
import { nodeTcpAoCrypto } from "@karp/tcp-ao/node";
import type { ApplyOutcome, DriverKey } from "../../ports/routingDriver.ts";
import { idsOf, isSameMkt, keySetFault } from "../keys.ts";
import { messageOf } from "../text.ts";

type MktIds = Pick<DriverKey, "sendId" | "recvId">;

interface Installed {
  readonly key: DriverKey;
  readonly mkt: Mkt;
}

/** The MKTs of one RFC 5925 endpoint, made equal to what the key table says. */
export class KeyRing {
  readonly endpoint = new TcpAoEndpoint({ crypto: nodeTcpAoCrypto, unmatched: "discard" });
  readonly #identifier: ConnectionIdentifier;
  #installed: readonly Installed[] = [];

  constructor(identifier: ConnectionIdentifier) {
    this.#identifier = identifier;
  }

  get recvIds(): readonly number[] {
    return this.#installed.map(({ key }) => key.recvId);
  }

  /** Adds, prefers and removes; a key that a connection uses stays, and the answer says so. */
  apply(keys: readonly DriverKey[]): ApplyOutcome {
    const fault = keySetFault(keys);
    if (fault !== undefined) return { kind: "refused", reason: fault };
    const leaving = this.#installed.filter(({ key }) => !keys.some((wanted) => isSameKey(key, wanted)));
    // Those that nobody uses go first: their IDs may come back with another key
    const inUse = leaving.filter((installed) => !this.#remove(installed));
    const clash = inUse.find(({ key }) => keys.some((wanted) => sharesId(key, wanted)));
    if (clash !== undefined) {
      return {
        kind: "refused",
        reason: `KeyID ${idsOf(clash.key)} still belongs to a key in use: the new key needs others`,
      };
    }
    const added = this.#addAll(keys);
    if (added !== undefined) return added;
    this.#prefer(keys);
    const staying = inUse.filter((installed) => !this.#remove(installed));
    if (staying.length === 0) return { kind: "installed" };
    const names = staying.map(({ key }) => idsOf(key)).join(", ");
    return { kind: "pending", reason: `${names} still in use: removed as soon as the peer has moved` };
  }

  /** Removes all but `keep`, from connections as well; no connection may be open when nothing is kept. */
  revoke(keep: readonly DriverKey[]): string | undefined {
    const added = this.#addAll(keep);
    if (added !== undefined) return added.kind === "refused" ? added.reason : "a key could not be added";
    this.#prefer(keep);
    const successor = keep.find(({ use }) => use === "preferred") ?? keep[0];
    const mkt = this.#installed.find(({ key }) => successor !== undefined && isSameKey(key, successor))?.mkt;
    const revoked = this.#installed.filter(({ key }) => !keep.some((kept) => isSameKey(key, kept)));
    const stuck = revoked.filter((installed) => !this.#remove(installed, mkt));
    return stuck.length === 0 ? undefined : `${stuck.map(({ key }) => idsOf(key)).join(", ")} still in use`;
  }

  /** Undefined: all there. */
  #addAll(keys: readonly DriverKey[]): ApplyOutcome | undefined {
    for (const key of keys) {
      const { sendId, recvId, algorithm, coversTcpOptions } = key;
      if (this.#installed.some((installed) => isSameKey(installed.key, key))) continue;
      try {
        const parts = { connectionIdentifier: this.#identifier, sendId, recvId, algorithm, coversTcpOptions };
        const mkt = key.masterKey.expose((masterKey) => this.endpoint.addMkt({ ...parts, masterKey }));
        this.#installed = [...this.#installed, { key, mkt }];
      } catch (error) {
        if (!(error instanceof TcpAoUsageError)) throw error;
        return { kind: "refused", reason: messageOf(error), adminKeyNames: [key.adminKeyName] };
      }
    }
    return undefined;
  }

  /** New connections begin with the preferred key, and open ones ask the peer for it. */
  #prefer(keys: readonly DriverKey[]): void {
    const wanted = keys.find(({ use }) => use === "preferred") ?? keys.find(({ use }) => use === "accept");
    const installed = this.#installed.find(({ key }) => wanted !== undefined && isSameKey(key, wanted));
    if (installed === undefined) return;
    this.endpoint.prefer(installed.mkt);
    const usable = (mkt: Mkt): boolean => keys.some((key) => key.recvId === mkt.recvId && key.use !== "deprecated");
    for (const connection of this.endpoint.connections()) {
      const isWanted = wanted?.use === "preferred" || !usable(connection.rnextKey);
      if (isWanted && connection.rnextKey !== installed.mkt) connection.setRnext(installed.mkt.recvId);
    }
  }

  #remove(installed: Installed, successor?: Mkt): boolean {
    const replacement = successor && successor !== installed.mkt ? { currentKey: successor, rnextKey: successor } : {};
    try {
      this.endpoint.removeMkt(installed.mkt, replacement);
    } catch (error) {
      if (error instanceof TcpAoUsageError && error.code === "mktInUse") return false;
      throw error;
    }
    this.#installed = this.#installed.filter((other) => other !== installed);
    return true;
  }
}

export function isSameKey(a: DriverKey, b: DriverKey): boolean {
  return isSameMkt(a, b) && a.coversTcpOptions === b.coversTcpOptions;
}

export function sharesId(a: MktIds, b: MktIds): boolean {
  return a.sendId === b.sendId || a.recvId === b.recvId;
}
