import type { EngineContext } from "./context.ts";
import type { IkeSa } from "./ikeSa.ts";
import type { ExchangeFailure } from "./machine.ts";
import type { Peer } from "./peers.ts";
import { discardIkeSa } from "./removal.ts";
import { failAll } from "./requests.ts";

/** An IKE SA that we began does not come up, and nobody at the other end needs to hear of it. */
export function failAttempt(engine: EngineContext, sa: IkeSa, failure: ExchangeFailure): void {
  reportFailedAttempt(engine, sa, failure);
  discardIkeSa(engine, sa);
}

/** Tells everybody who waits for this IKE SA; the peer may begin another attempt. */
export function reportFailedAttempt(engine: EngineContext, sa: IkeSa, failure: ExchangeFailure): void {
  const { peer, state } = sa;
  if (peer === undefined) return;
  const mkt = "mkt" in state ? state.mkt : undefined;
  peer.forget(sa);
  failWaiting(engine, peer, failure);
  mkt?.failed(engine, failure);
}

export function failWaiting(engine: EngineContext, peer: Peer, failure: ExchangeFailure): void {
  engine.emit({ kind: "ikeSaFailed", peer: peer.name, failure });
  failAll(engine, peer.waiting.splice(0), failure);
}
