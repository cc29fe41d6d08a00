import type { LocalCaller } from "../core/machine.ts";

/** Who may read and write keys through Keytable_*: root, and the user that karp runs as. Everybody else who may open the socket sees fingerprints. */
export function mayReadKeys(caller: LocalCaller): boolean {
  return caller.uid === 0 || caller.uid === process.getuid?.();
}
