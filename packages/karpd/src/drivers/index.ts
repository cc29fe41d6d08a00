import type { TObject } from "typebox";
import type { RoutingDriver } from "../ports/routingDriver.ts";
import { createBirdDriver } from "./bird/driver.ts";
import { settingsSchema as bird } from "./bird/settings.ts";
import type { DriverContext } from "./context.ts";
import { createEndpointDriver } from "./endpoint/driver.ts";
import { settingsSchema as endpoint } from "./endpoint/settings.ts";
import { createExecDriver } from "./exec/driver.ts";
import { settingsSchema as exec } from "./exec/settings.ts";
import { createKeychainDriver } from "./keychain/driver.ts";
import { settingsSchema as keychain } from "./keychain/settings.ts";

export { type DriverClock, type DriverContext, type DriverLog, systemClock } from "./context.ts";
export type { EndpointDriver } from "./endpoint/driver.ts";

/** One kind of driver: the words that it knows in a session, and how to make it. */
export interface DriverRegistration {
  readonly settingsSchema: TObject;
  create(context: DriverContext): RegisteredDriver;
}

/** A driver, with counters of its own where it has any. */
export interface RegisteredDriver extends RoutingDriver {
  statistics?(): Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** All kinds, by the word at `driver:`. */
export const drivers = {
  bird: { settingsSchema: bird, create: createBirdDriver },
  endpoint: { settingsSchema: endpoint, create: createEndpointDriver },
  exec: { settingsSchema: exec, create: createExecDriver },
  keychain: { settingsSchema: keychain, create: createKeychainDriver },
} as const satisfies Readonly<Record<string, DriverRegistration>>;
