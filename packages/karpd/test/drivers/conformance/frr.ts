import { createFrrDriver } from "../../../src/drivers/frr/driver.ts";
import { keyedKind } from "./keyed.ts";

export const kind = keyedKind("frr", createFrrDriver, { vtysh: "/nonexistent/vtysh" });
