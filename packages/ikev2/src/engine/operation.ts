import type { Payload } from "../codec/message.ts";
import type { EngineContext } from "./context.ts";
import type { IkeSa } from "./ikeSa.ts";
import type { ExchangeFailure } from "./machine.ts";
import type { Peer } from "./peers.ts";

/**
 * The initiator's half of one exchange in an authenticated IKE SA. It waits in the queue of its IKE SA (window size is
 * one, RFC 7296 section 2.3) or of its peer, and ends by itself: in `response`, or in `failed`.
 */
export interface Operation {
  readonly name: "createMkt" | "inform" | "rekeyIkeSa" | "closeIkeSa" | "reportFailure" | "liveness";
  readonly exchangeType: number;
  /** The request's payloads; undefined when there is nothing left to ask, and no exchange takes place. */
  request(engine: EngineContext, sa: IkeSa): readonly Payload[] | undefined;
  /** The authentic response; throws a ProtocolFault when it breaks the protocol. */
  response(engine: EngineContext, sa: IkeSa, payloads: readonly Payload[]): void;
  /** There will be no response. */
  failed(engine: EngineContext, failure: ExchangeFailure): void;
  /** Our SendIDs of the MKTs that it deletes. */
  readonly deletedSendIds?: readonly number[];
}

/** An operation that somebody outside waits for: it may change to another IKE SA of its peer. */
export interface PeerOperation extends Operation {
  readonly name: "createMkt" | "inform";
  readonly peer: Peer;
  /** It has ended, in whatever way. */
  readonly isOver: boolean;
  /** Undefined: the engine's own. */
  readonly requestId: number | undefined;
  /** Begin an IKE SA when there is none. */
  readonly connects: boolean;
  /** How often an IKE SA went away under it. */
  moves: number;
  /** Nobody waits any more. */
  abandon(engine: EngineContext): void;
}

/** With its answer, whatever it says, the IKE SA is over. */
export function isLast(operation: Operation | undefined): boolean {
  return operation?.name === "closeIkeSa" || operation?.name === "reportFailure";
}

export function isPeerOperation(operation: Operation): operation is PeerOperation {
  return operation.name === "createMkt" || operation.name === "inform";
}
