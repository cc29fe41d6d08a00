import type { RoutingDriver } from "../../ports/routingDriver.ts";
import type { DriverContext } from "../context.ts";
import { createKeyedDriver } from "../shared/keyedDriver.ts";
import { examineFrr } from "./examine.ts";

/** FRR: no released version has TCP-AO, so the keyer keys its sockets; FRR itself is only asked what stands in the way. */
export function createFrrDriver(context: DriverContext): RoutingDriver {
  return createKeyedDriver({ name: "frr", examine: examineFrr }, context);
}
