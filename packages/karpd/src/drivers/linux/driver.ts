import type { RoutingDriver } from "../../ports/routingDriver.ts";
import type { DriverContext } from "../context.ts";
import { createKeyedDriver } from "../shared/keyedDriver.ts";

/** Any routing daemon on Linux 6.7 or newer: its TCP sockets are keyed from outside, it need not know TCP-AO. */
export function createLinuxDriver(context: DriverContext): RoutingDriver {
  return createKeyedDriver({ name: "linux", examine: async () => [] }, context);
}
