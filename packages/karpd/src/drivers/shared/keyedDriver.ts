import type { SessionConfiguration } from "../../core/configuration.ts";
import type { Keyer } from "../../ports/keyer.ts";
import type {
  ApplyOutcome,
  DriverFinding,
  DriverKey,
  ObserveOutcome,
  RevokeOutcome,
  RoutingDriver,
} from "../../ports/routingDriver.ts";
import type { DriverContext } from "../context.ts";
import { keySetFault } from "../keys.ts";
import { messageOf } from "../text.ts";

export interface KeyedDriverKind {
  readonly name: string;
  /** What there is to say about the routing daemon itself. */
  examine(session: SessionConfiguration, context: DriverContext): Promise<readonly DriverFinding[]>;
}

/** A driver whose routing daemon knows nothing of it: its sockets are keyed from outside, by the keyer. */
export function createKeyedDriver(kind: KeyedDriverKind, context: DriverContext): RoutingDriver {
  return new KeyedDriver(kind, context);
}

class KeyedDriver implements RoutingDriver {
  readonly name: string;
  readonly observes = true;
  readonly #kind: KeyedDriverKind;
  readonly #context: DriverContext;

  constructor(kind: KeyedDriverKind, context: DriverContext) {
    this.name = kind.name;
    this.#kind = kind;
    this.#context = context;
  }

  async apply(session: SessionConfiguration, keys: readonly DriverKey[]): Promise<ApplyOutcome> {
    const fault = keySetFault(keys);
    if (fault !== undefined) return { kind: "refused", reason: fault };
    try {
      return await (await this.#keyer()).apply(session.name, keys);
    } catch (error) {
      return { kind: "pending", reason: messageOf(error) };
    }
  }

  async observe(session: SessionConfiguration): Promise<ObserveOutcome> {
    try {
      return await (await this.#keyer()).observe(session.name);
    } catch (error) {
      return { kind: "unavailable", reason: messageOf(error) };
    }
  }

  async revoke(session: SessionConfiguration, keep: readonly DriverKey[]): Promise<RevokeOutcome> {
    try {
      return await (await this.#keyer()).revoke(session.name, keep);
    } catch (error) {
      return { kind: "failed", reason: messageOf(error) };
    }
  }

  async examine(session: SessionConfiguration): Promise<readonly DriverFinding[]> {
    const own = this.#kind.examine(session, this.#context).catch(failed);
    const ofKeyer = this.#keyer().then((keyer) => keyer.examine(session.name));
    return [...(await ofKeyer.catch(failed)), ...(await own)];
  }

  /** The keyer is the runtime's, and other drivers use it too. */
  async close(): Promise<void> {}

  #keyer(): Promise<Keyer> {
    if (this.#context.keyer !== undefined) return this.#context.keyer();
    return Promise.reject(new Error(`the driver ${this.name} needs the keyer: karp keyer`));
  }
}

function failed(error: unknown): readonly DriverFinding[] {
  return [{ severity: "error", text: messageOf(error) }];
}
