import type { SessionConfiguration } from "../../core/configuration.ts";

/** How people carry on with a session whose daemon has no configuration of TCP-AO keys, after `karp unmanage`. */
export function keyedCarryOn({ name, localAddress, remoteAddress, port }: SessionConfiguration): readonly string[] {
  return [
    `the keys are static from now on: on the sockets between ${localAddress} and ${remoteAddress}, port ${port}, and in karp keyer, which gives them to new sockets of the routing daemon`,
    `do not restart karp keyer: it has them in memory alone, and without them no new connection of the session would come up`,
    `to run the session without keys, at both ends: take ${name} out of karp.yaml, systemctl restart karp-keyer, then restart the routing daemon`,
  ];
}
