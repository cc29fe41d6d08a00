// What keeps a listener closed while a session has no key.
import { randomBytes } from "node:crypto";
import { Secret } from "@karp/ikev2";
import type { SessionConfiguration } from "../core/configuration.ts";
import type { DriverKey } from "../ports/routingDriver.ts";

interface Before {
  readonly keys: readonly DriverKey[] | undefined;
  readonly closedKey: DriverKey | undefined;
}

/**
 * For a session that was not there before, or was configured otherwise.
 * @param wasClosed by an earlier process: a session that had a key is not opened because the keyer was restarted
 */
export function closedKeyFor(
  session: SessionConfiguration,
  before: Before | undefined,
  wasClosed: boolean,
): DriverKey | undefined {
  if (before !== undefined && (before.keys !== undefined || before.closedKey !== undefined)) return before.closedKey;
  const isClosed = session.mode === "required" || wasClosed;
  return isClosed ? makeClosedKey(session) : undefined;
}

/** A key that exists nowhere else. */
export function makeClosedKey({
  name,
  algorithms: [algorithm = "aes-128-cmac-96"],
  reservedKeyIds,
}: SessionConfiguration): DriverKey {
  const id = Array.from({ length: 256 }, (_, n) => 255 - n).find((one) => !reservedKeyIds.includes(one)) ?? 255;
  const masterKey = new Secret(Uint8Array.from(randomBytes(16)));
  return {
    adminKeyName: `${name}/closed`,
    sendId: id,
    recvId: id,
    algorithm,
    coversTcpOptions: true,
    masterKey,
    use: "accept",
  };
}
