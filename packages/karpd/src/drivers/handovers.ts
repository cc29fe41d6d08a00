import type { SessionConfiguration } from "../core/configuration.ts";
import type { Handover } from "../ports/handover.ts";
import { createBirdHandover } from "./bird/handover.ts";
import type { DriverContext } from "./context.ts";
import { keyedCarryOn } from "./shared/keyedCarryOn.ts";

/** Drivers whose daemon keeps its own configuration of keys, by the word at `driver:`. */
export const handovers: Readonly<Record<string, (context: DriverContext) => Handover>> = { bird: createBirdHandover };

/** What people are told of a session that is left to them, where the daemon keeps no keys; by the word at `driver:`. */
export const carryOns: Readonly<Record<string, (session: SessionConfiguration) => readonly string[]>> = {
  linux: keyedCarryOn,
  frr: keyedCarryOn,
  gobgp: keyedCarryOn,
};
