/** What an established IKE SA needs from time to time: rekey, reauthentication, liveness checks, release. */
import type { EngineContext } from "./context.ts";
import { scheduleRenewal } from "./establishment.ts";
import type { IkeSa } from "./ikeSa.ts";
import type { ExchangeFailure } from "./machine.ts";
import { livenessOperation } from "./operations/liveness.ts";
import { IkeSaRekey } from "./operations/rekeyIkeSa.ts";
import { initiate } from "./operations/saInit.ts";
import { closeGracefully } from "./removal.ts";
import { enqueue } from "./requests.ts";
import type { Secured } from "./states.ts";

const WORN: ExchangeFailure = { reason: "ikeSaClosed", detail: "its Message IDs are used up" };
const TOO_OLD: ExchangeFailure = { reason: "ikeSaClosed", detail: "the peer did not authenticate again in time" };
const IDLE: ExchangeFailure = { reason: "ikeSaClosed", detail: "released: nothing to do for it" };

export function renew(engine: EngineContext, sa: IkeSa): void {
  if (sa.state.name !== "established") return;
  const { secured } = sa.state;
  const { lifetime, peer } = secured;
  const now = engine.now.monotonic;
  const { livenessAfterSeconds, releaseAfterIdleSeconds } = peer.config;
  if (now >= lifetime.reauthenticateAt) {
    if (lifetime.reauthenticationTries >= engine.settings.reauthenticationTries) {
      closeGracefully(engine, sa, { failure: TOO_OLD, operations: "move" });
      return;
    }
    reauthenticate(engine, secured);
  }
  if (now >= lifetime.rekeyAt) rekey(engine, sa, secured);
  const isIdle = sa.outstanding === undefined && sa.queue.length === 0 && secured.held === undefined;
  if (releaseAfterIdleSeconds !== undefined && now >= lifetime.lastUsedAt + releaseAfterIdleSeconds * 1000) {
    if (isIdle) {
      closeGracefully(engine, sa, { failure: IDLE, operations: "move" });
      return;
    }
    lifetime.lastUsedAt = now;
  }
  if (now >= Math.max(lifetime.lastHeardAt, lifetime.lastProbedAt) + livenessAfterSeconds * 1000) {
    lifetime.lastProbedAt = now;
    // RFC 7296 section 2.4: any request that has to be answered is a liveness check
    if (isIdle) enqueue(engine, sa, livenessOperation);
  }
  scheduleRenewal(engine, sa);
}

/** On demand, or because the lifetime or the counters say so. One at a time; what fails is tried again. */
export function rekey(engine: EngineContext, sa: IkeSa, secured: Secured): void {
  secured.lifetime.rekeyAt = engine.after(engine.settings.renewalRetrySeconds);
  const isUnderWay =
    sa.outstanding?.operation?.name === "rekeyIkeSa" || sa.queue.some((operation) => operation.name === "rekeyIkeSa");
  if (!isUnderWay) enqueue(engine, sa, new IkeSaRekey());
}

/**
 * RFC 7296 section 2.2: Message IDs MUST NOT wrap; RFC 5282 section 3.1: nor must IVs. Both are far away, and any IKE SA
 * that comes near is rekeyed.
 */
export function rekeyWhenWorn(engine: EngineContext, sa: IkeSa): void {
  if (sa.state.name !== "established") return;
  const { secured } = sa.state;
  const used = Math.max(sa.nextRequestId, sa.expectedRequestId, secured.cipher.sent);
  if (used >= engine.settings.closeAtMessages) {
    closeGracefully(engine, sa, { failure: WORN, operations: "move" });
    return;
  }
  const isDue = used >= engine.settings.rekeyAtMessages && secured.lifetime.rekeyAt > engine.now.monotonic;
  if (!isDue || sa.outstanding?.operation?.name === "rekeyIkeSa") return;
  rekey(engine, sa, secured);
}

/**
 * Make before break (RFC 7296 section 2.8.3): the new IKE SA, once established, deletes this one. It is childless, which
 * not every peer takes (RFC 6023): after some tries this one is deleted first, and the next MKT brings the new one.
 */
function reauthenticate(engine: EngineContext, secured: Secured): void {
  secured.lifetime.reauthenticationTries++;
  secured.lifetime.reauthenticateAt = engine.after(engine.settings.renewalRetrySeconds);
  if (secured.peer.attempt === undefined) initiate(engine, secured.peer);
}
