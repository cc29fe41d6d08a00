import type { SessionConfiguration } from "../../core/configuration.ts";

/** What people are told of a socket that has a TCP MD5 key for the session's neighbour. */
export function md5InTheWay({ name, remoteAddress }: Pick<SessionConfiguration, "name" | "remoteAddress">): string {
  return `the routing daemon has an MD5 password for ${remoteAddress}, and the kernel takes no TCP-AO key beside it: karp migrate ${name} --plan`;
}
