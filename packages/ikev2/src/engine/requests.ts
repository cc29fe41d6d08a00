import type { EngineContext } from "./context.ts";
import type { IkeSa } from "./ikeSa.ts";
import type { ExchangeFailure, Instant } from "./machine.ts";
import { isPeerOperation, type Operation, type PeerOperation } from "./operation.ts";
import type { Peer } from "./peers.ts";

/** So many IKE SAs may go away under one operation; then it fails, lest two ends open and close without end. */
const MOST_MOVES = 3;

/** Takes an operation to the peer's IKE SA, or lets it wait for one. */
export function submit(engine: EngineContext, peer: Peer, operation: PeerOperation): void {
  // Nobody waits for it: it is not worth an exchange, least of all a new IKE SA
  if (operation.isOver) return;
  const sa = peer.usableIkeSa();
  if (sa !== undefined) {
    enqueue(engine, sa, operation);
  } else if (operation.connects) {
    peer.waiting.push(operation);
    engine.attend(peer);
  } else {
    operation.failed(engine, { reason: "noIkeSa", detail: "there is no IKE SA with this peer" });
  }
}

export function enqueue(engine: EngineContext, sa: IkeSa, operation: Operation): void {
  sa.queue.push(operation);
  engine.wake(sa);
}

/** Gives what waits for the peer to its IKE SA. */
export function submitWaiting(engine: EngineContext, peer: Peer): void {
  for (const operation of peer.waiting.splice(0)) submit(engine, peer, operation);
}

/** Takes out of the queue what outlives this IKE SA; what belongs to the IKE SA itself is forgotten. */
export function takeQueue(sa: IkeSa): readonly PeerOperation[] {
  return sa.queue.splice(0).filter(isPeerOperation);
}

/** Takes the unanswered request's operation too: nobody listens to its response any more. */
export function takeOperations(engine: EngineContext, sa: IkeSa): readonly PeerOperation[] {
  const { outstanding } = sa;
  engine.deadlines.cancel(outstanding?.deadline);
  sa.outstanding = undefined;
  const operation = outstanding?.operation;
  return [...(operation !== undefined && isPeerOperation(operation) ? [operation] : []), ...takeQueue(sa)];
}

/** Their IKE SA is gone: they go on with another one, or end with `failure`. */
export function move(
  engine: EngineContext,
  peer: Peer,
  operations: readonly PeerOperation[],
  failure: ExchangeFailure,
): void {
  for (const operation of operations) {
    operation.moves++;
    if (operation.moves > MOST_MOVES) operation.failed(engine, failure);
    else submit(engine, peer, operation);
  }
}

export function failAll(engine: EngineContext, operations: readonly Operation[], failure: ExchangeFailure): void {
  for (const operation of operations) operation.failed(engine, failure);
}

/** RFC 7296 section 2.25: after TEMPORARY_FAILURE it MUST NOT be retried immediately. */
export function retryLater(engine: EngineContext, peer: Peer, operation: PeerOperation): void {
  engine.deadlines.schedule(afterTemporaryFailure(engine), { kind: "retry", peer, operation });
}

/** Drawn anew each time: two requests that refused each other would meet again, and again, after equal delays. */
export function afterTemporaryFailure(engine: EngineContext): Instant {
  return engine.after(engine.settings.temporaryFailure.delaySeconds * (1 + engine.randomFraction()));
}
