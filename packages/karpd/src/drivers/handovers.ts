import type { Handover } from "../ports/handover.ts";
import { createBirdHandover } from "./bird/handover.ts";
import type { DriverContext } from "./context.ts";
import { createFrrHandover } from "./frr/handover.ts";
import { createGobgpHandover } from "./gobgp/handover.ts";
import { createLinuxHandover } from "./linux/handover.ts";

/** Drivers whose sessions people can hand over to karp and take back, by the word at `driver:`. */
export const handovers: Readonly<Record<string, (context: DriverContext) => Handover>> = {
  bird: createBirdHandover,
  frr: createFrrHandover,
  gobgp: createGobgpHandover,
  linux: createLinuxHandover,
};
