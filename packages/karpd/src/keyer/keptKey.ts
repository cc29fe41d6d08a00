// What tells a key in the kernel from another one with the same IDs: a fingerprint of its octets, never the octets.
import { Secret } from "@karp/ikev2";
import { aesCmacPrf128Key } from "@karp/tcp-ao";
import { nodeTcpAoCrypto } from "@karp/tcp-ao/node";
import { fingerprintOf, idsOf } from "../drivers/keys.ts";
import type { DriverKey } from "../ports/routingDriver.ts";
import type { HeldKey } from "./kernel.ts";

/** Whether the kernel has this very key. */
export function isHeldAs(key: DriverKey, one: HeldKey): boolean {
  if (idsOf(one) !== idsOf(key) || one.algorithm !== key.algorithm) return false;
  return one.coversTcpOptions === key.coversTcpOptions && one.fingerprint === keptFingerprint(key);
}

/** Of the octets that the kernel keeps of a key: for AES-128-CMAC 16, whatever came in (RFC 5926 section 3.1.1.2). */
export function keptFingerprint({ algorithm, masterKey }: Pick<DriverKey, "algorithm" | "masterKey">): string {
  if (algorithm !== "aes-128-cmac-96") return fingerprintOf({ masterKey });
  return masterKey.expose((octets) => fingerprintOfOctets(aesCmacPrf128Key(nodeTcpAoCrypto, octets)));
}

export function fingerprintOfOctets(octets: Uint8Array): string {
  const masterKey = new Secret(octets.slice());
  try {
    return fingerprintOf({ masterKey });
  } finally {
    masterKey.erase();
  }
}
