import type { RoutingDriver } from "../../ports/routingDriver.ts";
import type { DriverContext } from "../context.ts";
import { createKeyedDriver } from "../shared/keyedDriver.ts";
import { examineGobgp } from "./examine.ts";

/** GoBGP up to 4.8 has no TCP-AO in its API: the keyer keys its sockets; gobgpd is only asked what stands in the way. */
export function createGobgpDriver(context: DriverContext): RoutingDriver {
  return createKeyedDriver({ name: "gobgp", examine: examineGobgp }, context);
}
