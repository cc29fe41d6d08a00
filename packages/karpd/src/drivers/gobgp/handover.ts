import type { Handover } from "../../ports/handover.ts";
import type { DriverContext } from "../context.ts";
import { createKeyedHandover } from "../shared/keyedHandover.ts";

/** For `karp unmanage` and `karp migrate`. GoBGP's tool cannot change a neighbour's password: a person edits the file. */
export function createGobgpHandover(context: DriverContext): Handover {
  const passwordRemoval = async ({ remoteAddress }: { readonly remoteAddress: string }) => ({
    text: `take auth-password of neighbor ${remoteAddress} out of gobgpd's configuration file, then: systemctl reload gobgpd; karp migrate waits for it`,
  });
  return createKeyedHandover({ name: "gobgp", passwordRemoval }, context);
}
