import type { CertificateVerdict, Identity, IkeLogEvent, UdpAddress } from "@karp/ikev2";
import type { SessionConfiguration } from "../core/configuration.ts";
import type { DaemonEvent } from "../core/events.ts";
import type { CommandReply, DaemonEffect, DaemonInput } from "../core/machine.ts";
import type { KeyStore } from "../ports/keyStore.ts";
import type { RoutingDriver } from "../ports/routingDriver.ts";

/** The outside world, as the effects of DaemonCore need it. */
export interface World {
  readonly store: KeyStore;
  send(local: UdpAddress, remote: UdpAddress, data: Uint8Array): void;
  driverOf(session: SessionConfiguration): RoutingDriver;
  validateCertificate(chain: readonly Uint8Array[], remoteIdentity: Identity): Promise<CertificateVerdict>;
  event(event: DaemonEvent): void;
  log(event: IkeLogEvent): void;
  reply(requestId: number, reply: CommandReply): void;
}

/**
 * Performs one effect. Slow ones answer later through `input`; a fault of the world becomes the answer that the core
 * waits for, so that nothing is ever pending for ever. Returns what is under way, if anything is.
 */
export function perform(
  effect: DaemonEffect,
  world: World,
  input: (input: DaemonInput) => void,
): Promise<void> | undefined {
  switch (effect.kind) {
    case "send":
      world.send(effect.local, effect.remote, effect.data);
      return undefined;
    case "event":
      world.event(effect.event);
      return undefined;
    case "log":
      world.log(effect.event);
      return undefined;
    case "reply":
      world.reply(effect.requestId, effect.reply);
      return undefined;
    default:
      return performSlow(effect, world).then(input);
  }
}

type SlowEffect = Exclude<DaemonEffect, { readonly kind: "send" | "event" | "log" | "reply" }>;

async function performSlow(effect: SlowEffect, world: World): Promise<DaemonInput> {
  const { requestId } = effect;
  switch (effect.kind) {
    case "persist":
      return await world.store.write(effect.changes).then(
        () => ({ kind: "persisted", requestId }),
        (error: unknown) => ({ kind: "persistFailed", requestId, reason: reasonOf(error) }),
      );
    case "apply":
      return await world
        .driverOf(effect.session)
        .apply(effect.session, effect.keys)
        .catch((error: unknown) => ({ kind: "pending", reason: reasonOf(error) }) as const)
        .then((outcome) => ({ kind: "applied", requestId, outcome }));
    case "observe":
      return await world
        .driverOf(effect.session)
        .observe(effect.session)
        .catch((error: unknown) => ({ kind: "unavailable", reason: reasonOf(error) }) as const)
        .then((outcome) => ({ kind: "observed", requestId, outcome }));
    case "revoke":
      return await world
        .driverOf(effect.session)
        .revoke(effect.session, effect.keep)
        .catch((error: unknown) => ({ kind: "failed", reason: reasonOf(error) }) as const)
        .then((outcome) => ({ kind: "revoked", requestId, outcome }));
    case "validateCertificate":
      return await world
        .validateCertificate(effect.chain, effect.remoteIdentity)
        .catch((error: unknown) => ({ ok: false, reason: reasonOf(error) }) as const)
        .then((verdict) => ({ kind: "certificateValidated", requestId, verdict }));
  }
}

/** One line for people; an error that is none of ours shows its message only, never its properties. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
