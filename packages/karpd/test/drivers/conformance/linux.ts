import { createLinuxDriver } from "../../../src/drivers/linux/driver.ts";
import { keyedKind } from "./keyed.ts";

export const kind = keyedKind("linux", createLinuxDriver);
