import type { TObject } from "typebox";
import type { SessionConfiguration } from "../core/configuration.ts";
import type { MktAlgorithm } from "../core/keytable/row.ts";
import type { Claim } from "../ports/claim.ts";
import type { RoutingDriver } from "../ports/routingDriver.ts";
import { createBirdDriver } from "./bird/driver.ts";
import { settingsSchema as bird, birdClaims } from "./bird/settings.ts";
import type { DriverContext } from "./context.ts";
import { createEndpointDriver } from "./endpoint/driver.ts";
import { settingsSchema as endpoint } from "./endpoint/settings.ts";
import { createExecDriver } from "./exec/driver.ts";
import { settingsSchema as exec } from "./exec/settings.ts";
import { createFrrDriver } from "./frr/driver.ts";
import { settingsSchema as frr } from "./frr/settings.ts";
import { createGobgpDriver } from "./gobgp/driver.ts";
import { settingsSchema as gobgp } from "./gobgp/settings.ts";
import { inTurns } from "./inTurns.ts";
import { createKeychainDriver } from "./keychain/driver.ts";
import { settingsSchema as keychain } from "./keychain/settings.ts";
import { createLinuxDriver } from "./linux/driver.ts";
import { settingsSchema as linux } from "./linux/settings.ts";

export { type DriverClock, type DriverContext, type DriverLog, systemClock } from "./context.ts";
export type { EndpointDriver } from "./endpoint/driver.ts";

/** One kind of driver: the words that it knows in a session, and how to make it. */
export interface DriverRegistration {
  readonly settingsSchema: TObject;
  /** What it can put into its routing daemon. */
  readonly algorithms: readonly MktAlgorithm[];
  readonly tcpOptions: readonly ("covered" | "omitted")[];
  /** Its keys go through the keyer. */
  readonly usesKeyer?: true;
  /** What only one session may have. */
  claims?(session: SessionConfiguration): readonly Claim[];
  create(context: DriverContext): RegisteredDriver;
}

/** A driver, with counters of its own where it has any. */
export interface RegisteredDriver extends RoutingDriver {
  statistics?(): Readonly<Record<string, Readonly<Record<string, number>>>>;
}

const everything = {
  algorithms: ["aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha-256-128"],
  tcpOptions: ["covered", "omitted"],
} as const;

const keyed = { ...everything, usesKeyer: true } as const;

/** BIRD cuts the MAC of HMAC-SHA-256 to 96 bits, and has no word for leaving TCP options out of the MAC. */
const whatBirdCan = { algorithms: ["aes-128-cmac-96", "hmac-sha-1-96"], tcpOptions: ["covered"] } as const;

/** All kinds, by the word at `driver:`. */
export const drivers = {
  bird: {
    settingsSchema: bird,
    ...whatBirdCan,
    claims: birdClaims,
    create: (context) => inTurns(createBirdDriver(context)),
  },
  endpoint: { settingsSchema: endpoint, ...everything, create: createEndpointDriver },
  exec: { settingsSchema: exec, ...everything, create: (context) => inTurns(createExecDriver(context)) },
  frr: { settingsSchema: frr, ...keyed, create: (context) => inTurns(createFrrDriver(context)) },
  gobgp: { settingsSchema: gobgp, ...keyed, create: (context) => inTurns(createGobgpDriver(context)) },
  linux: { settingsSchema: linux, ...keyed, create: (context) => inTurns(createLinuxDriver(context)) },
  keychain: { settingsSchema: keychain, ...everything, create: (context) => inTurns(createKeychainDriver(context)) },
} as const satisfies Readonly<Record<string, DriverRegistration>>;

/** Those whose keys go through the keyer. */
export const keyedDrivers: ReadonlySet<string> = new Set(
  Object.entries(drivers).flatMap(([name, kind]) => ("usesKeyer" in kind ? [name] : [])),
);
