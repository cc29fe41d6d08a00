import type { TSchema } from "typebox";
import type { SessionConfiguration } from "../core/configuration.ts";
import type { RoutingDriver } from "../ports/routingDriver.ts";
import type { Logger } from "./logger.ts";

/** A driver that counts more than it observes. */
export interface CountingDriver extends RoutingDriver {
  statistics?(): Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** One kind of driver: the words that it knows in the configuration, and how to make it. */
export interface DriverKind {
  readonly settingsSchema: TSchema;
  create(context: { readonly logger: Logger }): CountingDriver;
}

/** All kinds, by the word that stands at `driver:`. */
export class DriverKinds {
  readonly #kinds: ReadonlyMap<string, DriverKind>;

  constructor(kinds: Readonly<Record<string, DriverKind>>) {
    this.#kinds = new Map(Object.entries(kinds));
  }

  get schemas(): Readonly<Record<string, TSchema>> {
    return Object.fromEntries([...this.#kinds].map(([name, kind]) => [name, kind.settingsSchema]));
  }

  kind(name: string): DriverKind {
    const kind = this.#kinds.get(name);
    if (kind === undefined) throw new Error(`there is no driver ${name}`);
    return kind;
  }
}

/** The drivers that the configured sessions use: one instance a kind, made when it is first needed. */
export class DriverSet {
  readonly #kinds: DriverKinds;
  readonly #logger: Logger;
  readonly #drivers = new Map<string, CountingDriver>();

  constructor(kinds: DriverKinds, logger: Logger) {
    this.#kinds = kinds;
    this.#logger = logger;
  }

  driverOf(session: SessionConfiguration): CountingDriver {
    return this.#driver(session.driver);
  }

  observes(name: string): boolean {
    return this.#driver(name).observes;
  }

  statistics(): Readonly<Record<string, Readonly<Record<string, number>>>> {
    return Object.assign({}, ...[...this.#drivers.values()].map((driver) => driver.statistics?.() ?? {}));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#drivers.values()].map((driver) => driver.close()));
  }

  #driver(name: string): CountingDriver {
    const existing = this.#drivers.get(name);
    if (existing !== undefined) return existing;
    const driver = this.#kinds.kind(name).create({ logger: this.#logger });
    this.#drivers.set(name, driver);
    return driver;
  }
}
