import type { EngineContext } from "./context.ts";
import type { IkeSa } from "./ikeSa.ts";
import type { ExchangeFailure } from "./machine.ts";
import { closeIkeSaOperation } from "./operations/closeIkeSa.ts";
import { enqueue, failAll, move, takeOperations, takeQueue } from "./requests.ts";
import type { Secured } from "./states.ts";

/** Why an IKE SA goes, and what becomes of the operations in it. */
export interface Ending {
  readonly failure?: ExchangeFailure;
  /** `move`: they go on with the peer's next IKE SA. `fail`: the peer is gone, or refused, or not wanted any more. */
  readonly operations: "move" | "fail";
}

const CLOSED: ExchangeFailure = { reason: "ikeSaClosed", detail: "the IKE SA was closed" };

/** Ends an IKE SA here and now. A repeated last request is still answered from memory for a while. */
export function removeIkeSa(engine: EngineContext, sa: IkeSa, ending: Ending): void {
  const { peer, state } = sa;
  if (state.name === "closed") return;
  const operations = takeOperations(engine, sa);
  const unborn = takeUnborn(sa);
  disarm(engine, sa);
  sa.cipher?.erase();
  if (state.name === "established" || state.name === "redundant") announceClosed(engine, sa, ending.failure);
  sa.state = { name: "closed" };
  peer?.forget(sa);
  bury(engine, sa);
  if (unborn !== undefined) removeIkeSa(engine, unborn, { operations: "move" });
  if (peer === undefined) return;
  const failure = ending.failure ?? CLOSED;
  if (ending.operations === "move") move(engine, peer, operations, failure);
  else failAll(engine, operations, failure);
}

/** Closes an authenticated IKE SA with a Delete, which is the last request in it (RFC 7296 section 2.8). */
export function closeGracefully(engine: EngineContext, sa: IkeSa, ending: Ending): void {
  const { peer, state } = sa;
  if (peer === undefined || state.name === "closing" || !("secured" in state)) return;
  const operations = takeQueue(sa);
  const unborn = takeUnborn(sa);
  engine.deadlines.cancel(sa.renewal);
  sa.state = { name: "closing", cipher: state.secured.cipher, secured: state.secured };
  forgetHeld(engine, state.secured);
  if (state.name !== "replaced") announceClosed(engine, sa, ending.failure);
  enqueue(engine, sa, closeIkeSaOperation);
  if (unborn !== undefined) closeGracefully(engine, unborn, { operations: "move" });
  const failure = ending.failure ?? CLOSED;
  if (ending.operations === "move") move(engine, peer, operations, failure);
  else failAll(engine, operations, failure);
}

/** Forgets an IKE SA at once, without a word: half-open ones and tombstones whose time is over. */
export function discardIkeSa(engine: EngineContext, sa: IkeSa): void {
  engine.deadlines.cancel(sa.outstanding?.deadline);
  sa.outstanding = undefined;
  disarm(engine, sa);
  sa.cipher?.erase();
  sa.state = { name: "closed" };
  engine.ikeSas.remove(sa);
}

/**
 * The IKE SA that the peer made of this one while our own rekey is unanswered (RFC 7296 section 2.8.2). It has not taken
 * over yet, so it goes where this one goes, and as it was never announced, without a word to the caller.
 */
function takeUnborn(sa: IkeSa): IkeSa | undefined {
  const { secured } = sa;
  const unborn = secured?.rekeyedByPeer;
  if (secured === undefined || unborn === undefined) return undefined;
  secured.rekeyedByPeer = undefined;
  if (unborn.secured !== undefined) unborn.state = { name: "replaced", secured: unborn.secured, successor: sa };
  return unborn;
}

/** Of one that has not taken over yet (RFC 7296 section 2.8.2) nobody has heard: its peer does not list it. */
function announceClosed(engine: EngineContext, sa: IkeSa, failure: ExchangeFailure | undefined): void {
  if (sa.peer?.ikeSas.includes(sa) !== true) return;
  const peer = sa.peer.name;
  engine.emit(failure === undefined ? { kind: "ikeSaClosed", peer } : { kind: "ikeSaClosed", peer, failure });
}

function disarm(engine: EngineContext, sa: IkeSa): void {
  engine.deadlines.cancel(sa.renewal);
  engine.deadlines.cancel(sa.expiry);
  sa.renewal = undefined;
  sa.expiry = undefined;
  const { state } = sa;
  if (sa.secured !== undefined) forgetHeld(engine, sa.secured);
  if ("validationId" in state) engine.awaitingAnswer.delete(state.validationId);
}

/** An answer that was held does not leave any more: the peer will never hear of its MKT. */
function forgetHeld(engine: EngineContext, secured: Secured): void {
  const { held, peer } = secured;
  if (held === undefined) return;
  secured.held = undefined;
  engine.awaitingAnswer.delete(held.commitId);
  engine.emit({ kind: "mktsDeleted", peer: peer.name, recvIds: [held.mkt.recvId] });
}

/** RFC 7296 section 2.1: the last response is remembered for a while, so that our end is no riddle to the peer. */
function bury(engine: EngineContext, sa: IkeSa): void {
  if (sa.answered?.response === undefined) {
    engine.ikeSas.remove(sa);
    return;
  }
  sa.expiry = engine.deadlines.schedule(engine.after(engine.settings.responseMemorySeconds), { kind: "expiry", sa });
}
