import { createGobgpDriver } from "../../../src/drivers/gobgp/driver.ts";
import { keyedKind } from "./keyed.ts";

export const kind = keyedKind("gobgp", createGobgpDriver, { program: "/nonexistent/gobgp" });
