// What is wanted of the sockets of one session.
import type { SessionConfiguration } from "../core/configuration.ts";
import type { DriverKey } from "../ports/routingDriver.ts";
import { keptFingerprint } from "./keptKey.ts";
import type { Ledger } from "./ledger.ts";
import { type InterfaceIndex, vrfIndexOf } from "./match.ts";
import type { Wish } from "./socketKeys.ts";

export type SocketKeyerLog = (level: "debug" | "info" | "warning" | "error", text: string) => void;

/** One session, and what is wanted of its sockets. */
export interface Keyed {
  readonly session: SessionConfiguration;
  /** Undefined until karpd has said something. */
  readonly keys: readonly DriverKey[] | undefined;
  /** On listeners without a key of ours: nobody has it, so an unsigned SYN is refused and a signed one does not verify. */
  readonly closedKey: DriverKey | undefined;
}

/** The keys of a session as a socket of it should have them. */
export function keyedOn(
  { ledger, indexOf }: { readonly ledger: Ledger; readonly indexOf: InterfaceIndex },
  { session, keys = [] }: Keyed,
): Wish {
  const vrf = vrfIndexOf(session, indexOf);
  return {
    peer: session.remoteAddress,
    ifindex: vrf === "missing" ? undefined : vrf.index,
    keys,
    isOurs: (one) => ledger.isOurs(session.name, one),
    note: (key) => ledger.note(session.name, { ...key, fingerprint: keptFingerprint(key) }),
  };
}

/** Required from the start; otherwise once both ends are ready for a key. */
export function mustBeSigned({ session, keys, closedKey }: Keyed): boolean {
  if (session.mode === "observe") return false;
  if (session.mode === "required" || closedKey !== undefined) return true;
  return (keys ?? []).some(({ use }) => use === "preferred");
}
