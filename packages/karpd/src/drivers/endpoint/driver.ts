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
import { errnoOf, messageOf } from "../text.ts";
import { type KernelSockets, linuxSockets } from "./kernelSockets.ts";
import { Runner } from "./runner.ts";
import { endpointSettings } from "./settings.ts";

/** An RFC 5925 endpoint inside the daemon: signs and verifies real segments without help of a kernel or a router. */
export interface EndpointDriver extends RoutingDriver {
  /** By session: what the receiver of the segments has counted since the daemon started. */
  statistics(): Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** `sockets`: the kernel's TCP, asked for only where it has TCP-AO. */
export function createEndpointDriver(context: DriverContext, sockets: KernelSockets = linuxSockets): EndpointDriver {
  return new Endpoints(context, sockets);
}

interface Running {
  /** Everything that makes the socket and the endpoint: another text, another runner. */
  readonly words: string;
  readonly runner: Runner;
}

class Endpoints implements EndpointDriver {
  readonly name = "endpoint";
  readonly observes = true;
  readonly #context: DriverContext;
  readonly #sockets: KernelSockets;
  readonly #running = new Map<string, Running>();

  constructor(context: DriverContext, sockets: KernelSockets) {
    this.#context = context;
    this.#sockets = sockets;
  }

  async apply(session: SessionConfiguration, keys: readonly DriverKey[]): Promise<ApplyOutcome> {
    try {
      return await (await this.#runner(session)).apply(keys);
    } catch (error) {
      const isRefused =
        error instanceof DriverSettingsError || ["EADDRNOTAVAIL", "EACCES"].includes(errnoOf(error) ?? "");
      return { kind: isRefused ? "refused" : "pending", reason: messageOf(error) };
    }
  }

  async observe(session: SessionConfiguration): Promise<ObserveOutcome> {
    try {
      return { kind: "observed", observation: (await this.#runner(session)).observation() };
    } catch (error) {
      return { kind: "unavailable", reason: messageOf(error) };
    }
  }

  async revoke(session: SessionConfiguration, keep: readonly DriverKey[]): Promise<RevokeOutcome> {
    try {
      const reason = (await this.#runner(session)).revoke(keep);
      return reason === undefined ? { kind: "revoked" } : { kind: "failed", reason };
    } catch (error) {
      return { kind: "failed", reason: messageOf(error) };
    }
  }

  async examine(session: SessionConfiguration): Promise<readonly DriverFinding[]> {
    try {
      assertTwoEnds(session);
      const { bind, remote } = endpointSettings(session);
      const text = `segments cross UDP between ${bind.address}:${bind.port} and ${remote.address}:${remote.port}`;
      return [{ severity: "ok", text }];
    } catch (error) {
      return [{ severity: "error", text: messageOf(error) }];
    }
  }

  statistics(): Readonly<Record<string, Readonly<Record<string, number>>>> {
    return Object.fromEntries([...this.#running].map(([name, { runner }]) => [name, runner.statistics()]));
  }

  async close(): Promise<void> {
    const runners = [...this.#running.values()];
    this.#running.clear();
    await Promise.all(runners.map(({ runner }) => runner.close()));
  }

  async #runner(session: SessionConfiguration): Promise<Runner> {
    assertTwoEnds(session);
    const settings = endpointSettings(session);
    const words = JSON.stringify([settings, session.localAddress, session.remoteAddress, session.port]);
    const existing = this.#running.get(session.name);
    if (existing?.words === words) return existing.runner;
    this.#running.delete(session.name);
    await existing?.runner.close();
    const runner = await Runner.start(this.#context, session, settings, this.#sockets);
    this.#running.set(session.name, { words, runner });
    return runner;
  }
}

/** The end with the lower address opens the connection, so there must be one. */
function assertTwoEnds({ name, localAddress, remoteAddress }: SessionConfiguration): void {
  if (localAddress === remoteAddress)
    throw new DriverSettingsError(`session ${name}: local and remote are one address`);
}
