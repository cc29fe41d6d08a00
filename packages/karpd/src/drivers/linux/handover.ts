import type { Handover } from "../../ports/handover.ts";
import type { DriverContext } from "../context.ts";
import { createKeyedHandover } from "../shared/keyedHandover.ts";

/** For `karp unmanage` and `karp migrate`. What daemon it is nobody knows here: a person takes the password out. */
export function createLinuxHandover(context: DriverContext): Handover {
  const passwordRemoval = async ({ remoteAddress }: { readonly remoteAddress: string }) => ({
    text: `take the MD5 password for ${remoteAddress} out of the routing daemon's configuration and have it read that: karp migrate waits for it`,
  });
  return createKeyedHandover({ name: "linux", passwordRemoval }, context);
}
