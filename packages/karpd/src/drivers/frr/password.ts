import type { SessionConfiguration } from "../../core/configuration.ts";

/** One password of FRR's running configuration. */
export interface FrrPassword {
  /** The line that leads to it, such as `router bgp 65001 vrf blue`. */
  readonly context: string;
  /** Takes it out. */
  readonly off: string;
  /** Puts it back; a secret. */
  readonly on: string;
}

/** The MD5 password of the session's neighbour itself; undefined: there is none, or it has it from a peer-group. */
export function findPassword(
  running: string,
  { protocol, remoteAddress, vrf }: Pick<SessionConfiguration, "protocol" | "remoteAddress" | "vrf">,
): FrrPassword | undefined {
  if (protocol !== "bgp") return undefined;
  const prefix = `neighbor ${remoteAddress} password `;
  let context: string | undefined;
  for (const line of running.split("\n")) {
    if (line !== "" && !line.startsWith(" ")) context = line.trimEnd();
    const on = line.trim();
    if (context === undefined || !isRouterOf(context, vrf) || !on.startsWith(prefix)) continue;
    return { context, off: `no neighbor ${remoteAddress} password`, on };
  }
  return undefined;
}

function isRouterOf(context: string, vrf: string | undefined): boolean {
  const words = /^router bgp \d+(?: vrf (\S+))?(?: |$)/.exec(context);
  return words !== null && words[1] === vrf;
}
