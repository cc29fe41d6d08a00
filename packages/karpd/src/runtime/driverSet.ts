import type { TSchema } from "typebox";
import type { SessionConfiguration } from "../core/configuration.ts";
import type { MktAlgorithm } from "../core/keytable/row.ts";
import type { KeyerClient } from "../keyer/client.ts";
import type { Keyer } from "../ports/keyer.ts";
import type { RoutingDriver } from "../ports/routingDriver.ts";
import type { Logger } from "./logger.ts";

/** A driver that counts more than it observes. */
interface CountingDriver extends RoutingDriver {
  statistics?(): Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** What a driver is given: time, a log, and what the kernel can do. */
interface DriverContext {
  readonly clock: {
    now(): number;
    after(milliseconds: number, action: () => void): { cancel(): void };
  };
  readonly log: (level: "debug" | "info" | "warning" | "error", text: string) => void;
  readonly kernelAlgorithms: () => Promise<ReadonlySet<MktAlgorithm> | undefined>;
  readonly keyer: () => Promise<Keyer>;
}

/** One kind of driver: the words that it knows in the configuration, and how to make it. */
interface DriverKind {
  readonly settingsSchema: TSchema;
  readonly algorithms: readonly MktAlgorithm[];
  readonly tcpOptions: readonly ("covered" | "omitted")[];
  /** Its keys go through the keyer. */
  readonly usesKeyer?: true;
  /** What only one session may have. */
  claims?(
    session: SessionConfiguration,
  ): readonly { readonly word: string; readonly value: string; readonly what: string }[];
  create(context: DriverContext): CountingDriver;
}

/** All kinds, by the word that stands at `driver:`. */
export type DriverKinds = Readonly<Record<string, DriverKind>>;

/** What whoever reads the configuration has to know of the kinds: their words, and what they can do. */
export function driverOptions(kinds: DriverKinds): {
  readonly driverSchemas: Readonly<Record<string, TSchema>>;
  readonly driverAbilities: Readonly<Record<string, Pick<DriverKind, "algorithms" | "tcpOptions" | "claims">>>;
} {
  const schemas = Object.entries(kinds).map(([name, kind]) => [name, kind.settingsSchema] as const);
  return { driverSchemas: Object.fromEntries(schemas), driverAbilities: kinds };
}

/** Where the keyer serves, and who hears that a connect() is held for want of a key. */
export interface KeyerAccess {
  readonly keyerSocket: string;
  readonly onWanted?: (session: string) => void;
}

/** The drivers that the configured sessions use: one instance a kind, made when it is first needed. */
export class DriverSet {
  readonly #kinds: DriverKinds;
  readonly #context: DriverContext;
  readonly #drivers = new Map<string, CountingDriver>();
  readonly #access: KeyerAccess;
  #keyer: Promise<KeyerClient> | undefined;

  constructor(kinds: DriverKinds, logger: Logger, access: KeyerAccess) {
    this.#kinds = kinds;
    this.#access = access;
    this.#context = {
      clock: {
        now: () => Date.now(),
        after: (milliseconds, action) => {
          const timer = setTimeout(action, milliseconds).unref();
          return { cancel: () => clearTimeout(timer) };
        },
      },
      log: (level, text) => logger[level === "warning" ? "warn" : level](text),
      kernelAlgorithms,
      keyer: () => this.#openKeyer(),
    };
  }

  /** The keyer reads the same configuration by itself. @throws KeyerUnavailable when it did not */
  async reloadKeyer(sessions: readonly SessionConfiguration[]): Promise<void> {
    if (sessions.some(({ driver }) => this.#kinds[driver]?.usesKeyer)) await (await this.#openKeyer()).reload();
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
    await (await this.#keyer)?.close();
  }

  #openKeyer(): Promise<KeyerClient> {
    this.#keyer ??= openKeyer(this.#access);
    return this.#keyer;
  }

  #driver(name: string): CountingDriver {
    const existing = this.#drivers.get(name);
    if (existing !== undefined) return existing;
    const kind = this.#kinds[name];
    if (kind === undefined) throw new Error(`there is no driver ${name}`);
    const driver = kind.create(this.#context);
    this.#drivers.set(name, driver);
    return driver;
  }
}

async function openKeyer({ keyerSocket, onWanted }: KeyerAccess): Promise<KeyerClient> {
  const { KeyerClient } = await import("../keyer/client.ts");
  const keyer = new KeyerClient({ socketPath: keyerSocket });
  if (onWanted !== undefined) keyer.onWanted(onWanted);
  return keyer;
}

/** Asks the kernel, with a scratch socket; undefined where no native code can be loaded to ask. */
async function kernelAlgorithms(): Promise<ReadonlySet<MktAlgorithm> | undefined> {
  try {
    const { probeKernelTcpAo } = await import("@karp/tcp-ao/linux");
    return new Set((await probeKernelTcpAo()).algorithms);
  } catch {
    return undefined;
  }
}
