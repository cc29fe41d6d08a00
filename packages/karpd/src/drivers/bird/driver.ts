import type { SessionConfiguration } from "../../core/configuration.ts";
import type {
  ApplyOutcome,
  DriverFinding,
  DriverKey,
  ObserveOutcome,
  ReleaseOutcome,
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
import { releaseKeys } from "./releaseKeys.ts";
import { revokeKeys } from "./revokeKeys.ts";
import { SessionMemory } from "./sessionMemory.ts";
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
  readonly #memories = new Map<string, SessionMemory>();

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
      const { status, protocol } = await lookAt(settings, this.#context.clock);
      await this.#activator(settings).witness(status);
      if (protocol === undefined) {
        return { kind: "unavailable", reason: `BIRD has no protocol ${settings.protocolName}` };
      }
      const since = (moment: number): string => this.#since.text(session.name, moment);
      const drift = await this.#memory(session.name).drift(settings.include, protocol).catch(messageOf);
      const observation = observationOf(protocol, since);
      return { kind: "observed", observation: drift === undefined ? observation : { ...observation, drift } };
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

  async release(session: SessionConfiguration, at: string): Promise<ReleaseOutcome> {
    try {
      return await releaseKeys(this.#bird(session), at);
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
    const [activator, memory] = [this.#activator(settings), this.#memory(session.name)];
    return { context: this.#context, session, settings, activator, memory };
  }

  #memory(session: string): SessionMemory {
    const memory = this.#memories.get(session) ?? new SessionMemory();
    this.#memories.set(session, memory);
    return memory;
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
