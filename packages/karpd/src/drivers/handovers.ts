import type { Handover } from "../ports/handover.ts";
import { createBirdHandover } from "./bird/handover.ts";
import type { DriverContext } from "./context.ts";

/** Drivers whose daemon keeps its own configuration of keys, by the word at `driver:`. */
export const handovers: Readonly<Record<string, (context: DriverContext) => Handover>> = { bird: createBirdHandover };
