import type { SessionConfiguration } from "../core/configuration.ts";
import type { LocalCaller } from "../core/machine.ts";

/**
 * Who may use keys through Keytable_*: root and the user that karp runs as may all; who stands in `key-readers` of a session
 * may read that session's. Everybody else who may open the socket sees fingerprints.
 */
export function mayUseKeys({ uid }: LocalCaller, session: SessionConfiguration, what: "read" | "change"): boolean {
  if (uid === 0 || uid === process.getuid?.()) return true;
  return what === "read" && session.keyReaders.includes(uid);
}
