import type { SessionConfiguration } from "../../core/configuration.ts";
import type {
  ApplyOutcome,
  DriverFinding,
  DriverKey,
  ObserveOutcome,
  RevokeOutcome,
  RoutingDriver,
} from "../../ports/routingDriver.ts";
import type { DriverContext } from "../context.ts";
import { DriverSettingsError } from "../sessionSettings.ts";
import { messageOf } from "../text.ts";
import { Activator } from "./activator.ts";
import { applyKeys, type BirdSession, NoSuchGroup } from "./applyKeys.ts";
import { UnreadableConfig } from "./configFiles.ts";
import { BirdUnreachable } from "./controlSocket.ts";
import { examineSession } from "./examine.ts";
import { ForeignInclude, IncludeFailure } from "./includeStore.ts";
import { lookAt } from "./look.ts";
import { observationOf, SinceMemory } from "./observation.ts";
import { revokeKeys } from "./revokeKeys.ts";
import { type BirdSettings, birdSettings } from "./settings.ts";

/** BIRD 2.17, 3.1 or newer: an include file of keys, and `configure` on the control socket. */
export function createBirdDriver(context: DriverContext): RoutingDriver {
  return new BirdDriver(context);
}

class BirdDriver implements RoutingDriver {
  readonly name = "bird";
  readonly observes = true;
  readonly #context: DriverContext;
  readonly #activators = new Map<string, Activator>();
  readonly #since = new SinceMemory();

  constructor(context: DriverContext) {
    this.#context = context;
  }

  async apply(session: SessionConfiguration, keys: readonly DriverKey[]): Promise<ApplyOutcome> {
    try {
      return await applyKeys(this.#bird(session), keys);
    } catch (error) {
      return applyFailure(error);
    }
  }

  async observe(session: SessionConfiguration): Promise<ObserveOutcome> {
    try {
      const { settings } = this.#bird(session);
      const { protocol } = await lookAt(settings, this.#context.clock);
      if (protocol === undefined) {
        return { kind: "unavailable", reason: `BIRD has no protocol ${settings.protocolName}` };
      }
      const since = (moment: number): string => this.#since.text(session.name, moment);
      return { kind: "observed", observation: observationOf(protocol, since) };
    } catch (error) {
      return { kind: "unavailable", reason: messageOf(error) };
    }
  }

  async revoke(session: SessionConfiguration, keep: readonly DriverKey[]): Promise<RevokeOutcome> {
    try {
      return await revokeKeys(this.#bird(session), keep);
    } catch (error) {
      return { kind: "failed", reason: messageOf(error) };
    }
  }

  async examine(session: SessionConfiguration): Promise<readonly DriverFinding[]> {
    try {
      return await examineSession(this.#bird(session));
    } catch (error) {
      return [{ severity: "error", text: messageOf(error) }];
    }
  }

  async close(): Promise<void> {
    for (const activator of this.#activators.values()) activator.close();
  }

  #bird(session: SessionConfiguration): BirdSession {
    const settings = birdSettings(session);
    return { context: this.#context, session, settings, activator: this.#activator(settings) };
  }

  /** One per BIRD: that is, per control socket. The newest settings count. */
  #activator(settings: BirdSettings): Activator {
    const { control, config, configureIntervalMilliseconds: intervalMilliseconds } = settings;
    const activator = this.#activators.get(control) ?? new Activator(this.#context, control);
    this.#activators.set(control, activator);
    activator.adjust({ config, intervalMilliseconds });
    return activator;
  }
}

function applyFailure(error: unknown): ApplyOutcome {
  const reason = messageOf(error);
  if (error instanceof ForeignInclude) return { kind: "foreign", reason };
  const isSetUp =
    error instanceof DriverSettingsError ||
    error instanceof UnreadableConfig ||
    error instanceof NoSuchGroup ||
    (error instanceof IncludeFailure && error.isSetUp) ||
    (error instanceof BirdUnreachable && error.isForbidden);
  return { kind: isSetUp ? "refused" : "pending", reason };
}
