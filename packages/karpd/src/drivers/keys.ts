import { NodeCryptoProvider } from "@karp/ikev2/node";
import { keyFingerprint } from "../core/keytable/fingerprint.ts";
import type { DriverKey } from "../ports/routingDriver.ts";

const crypto = new NodeCryptoProvider();

/** What is wrong with a set of keys for any driver, or nothing. Two keys of one session never share an ID (RFC 5925 section 3.1). */
export function keySetFault(keys: readonly DriverKey[]): string | undefined {
  for (const side of ["sendId", "recvId"] as const) {
    const seen = new Set<number>();
    for (const key of keys) {
      const id = key[side];
      if (!Number.isInteger(id) || id < 0 || id > 255) return `${side} ${id} of ${key.adminKeyName} is not in 0-255`;
      if (seen.has(id)) return `two keys have ${side === "sendId" ? "SendID" : "RecvID"} ${id}`;
      seen.add(id);
    }
  }
  if (keys.filter(({ use }) => use === "preferred").length > 1) return "two keys are preferred at once";
  return undefined;
}

/** Whether both name the same MKT: same IDs, algorithm and octets. What is preferred does not matter. */
export function isSameMkt(a: MktParts, b: MktParts): boolean {
  if (a.sendId !== b.sendId || a.recvId !== b.recvId || a.algorithm !== b.algorithm) return false;
  return a.masterKey.expose((one) => b.masterKey.expose((other) => Buffer.from(one).equals(other)));
}

/** A key that a person wrote may have an algorithm that karp has no name for. */
export type MktParts = Pick<DriverKey, "sendId" | "recvId" | "masterKey"> & { readonly algorithm: string };

/** "11/12": SendID and RecvID, as BIRD prints them. */
export function idsOf(key: Pick<DriverKey, "sendId" | "recvId">): string {
  return `${key.sendId}/${key.recvId}`;
}

/** What may be shown of a key: 16 hex digits, as in `karp show keys` and in events. */
export function fingerprintOf({ masterKey }: Pick<DriverKey, "masterKey">): string {
  return keyFingerprint(crypto, masterKey);
}
