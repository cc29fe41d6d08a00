import type { IkeHeader, Payload } from "../codec/message.ts";
import type { EngineContext } from "./context.ts";
import type { IkeSa } from "./ikeSa.ts";
import type { UdpAddress } from "./machine.ts";
import type { Operation } from "./operation.ts";

/** A request of the peer, and where its response goes: whence it came (RFC 7296 section 2.11). */
export interface ReceivedRequest {
  readonly exchangeType: number;
  readonly messageId: number;
  readonly local: UdpAddress;
  readonly remote: UdpAddress;
}

export function headerOf(sa: IkeSa, exchangeType: number, messageId: number, isResponse: boolean): IkeHeader {
  return {
    initiatorSpi: sa.initiatorSpi,
    responderSpi: sa.responderSpi,
    majorVersion: 2,
    minorVersion: 0,
    exchangeType,
    isInitiator: sa.isInitiator,
    isResponse,
    hasHigherVersion: false,
    messageId,
  };
}

/** Begins the next exchange when the window (one request, RFC 7296 section 2.3) is free. */
export function startNext(engine: EngineContext, sa: IkeSa): void {
  while (sa.outstanding === undefined && mayRequest(sa)) {
    const operation = sa.queue.shift();
    if (operation === undefined) return;
    const payloads = operation.request(engine, sa);
    if (payloads !== undefined) sendProtectedRequest(engine, sa, operation.exchangeType, payloads, operation);
  }
}

/** The peer can understand us only when it has our IKE_AUTH response, which may still be held. */
function mayRequest(sa: IkeSa): boolean {
  switch (sa.state.name) {
    case "established":
    case "redundant":
    case "replaced":
      return !(sa.state.secured.held?.isInIkeAuth ?? false);
    case "closing":
      return true;
    default:
      return false;
  }
}

export function sendProtectedRequest(
  engine: EngineContext,
  sa: IkeSa,
  exchangeType: number,
  payloads: readonly Payload[],
  operation?: Operation,
): void {
  const { cipher } = sa;
  if (cipher === undefined) return;
  const header = headerOf(sa, exchangeType, sa.nextRequestId, false);
  sendRequest(engine, sa, exchangeType, cipher.seal(engine.crypto, header, payloads), operation);
}

/** RFC 7296 section 2.1: a request is remembered, and sent again, until its response comes. */
export function sendRequest(
  engine: EngineContext,
  sa: IkeSa,
  exchangeType: number,
  datagram: Uint8Array,
  operation?: Operation,
): void {
  const { firstSeconds, tries } = engine.settings.retransmission;
  sa.outstanding = {
    messageId: sa.nextRequestId++,
    exchangeType,
    operation,
    datagram,
    triesLeft: tries - 1,
    waitSeconds: firstSeconds,
    deadline: engine.deadlines.schedule(engine.after(firstSeconds), { kind: "retransmission", sa }),
  };
  sa.exchanges++;
  engine.send(sa.local, sa.remote, datagram);
}

/** Sends the outstanding request again, bitwise the same; false when it was tried often enough. */
export function retransmit(engine: EngineContext, sa: IkeSa): boolean {
  const { outstanding } = sa;
  if (outstanding === undefined) return true;
  if (outstanding.triesLeft <= 0) return false;
  // RFC 7296 section 2.4: retransmission times MUST increase exponentially
  const waitSeconds = outstanding.waitSeconds * engine.settings.retransmission.factor;
  const deadline = engine.deadlines.schedule(engine.after(waitSeconds), { kind: "retransmission", sa });
  sa.outstanding = { ...outstanding, triesLeft: outstanding.triesLeft - 1, waitSeconds, deadline };
  engine.counters.retransmissions++;
  engine.send(sa.local, sa.remote, outstanding.datagram);
  return true;
}

/** Puts another datagram in the place of an IKE_SA_INIT request that has to change; the patience stays the same. */
export function replaceRequest(engine: EngineContext, sa: IkeSa, datagram: Uint8Array): void {
  if (sa.outstanding === undefined) return;
  sa.outstanding = { ...sa.outstanding, datagram };
  engine.send(sa.local, sa.remote, datagram);
}

/** The response has come; gives the operation that it belongs to. */
export function requestAnswered(engine: EngineContext, sa: IkeSa): Operation | undefined {
  const { outstanding } = sa;
  engine.deadlines.cancel(outstanding?.deadline);
  sa.outstanding = undefined;
  engine.wake(sa);
  return outstanding?.operation;
}

export function sendProtectedResponse(
  engine: EngineContext,
  sa: IkeSa,
  request: ReceivedRequest,
  payloads: readonly Payload[],
): void {
  const { cipher } = sa;
  if (cipher === undefined) return;
  const header = headerOf(sa, request.exchangeType, request.messageId, true);
  sendResponse(engine, sa, request, cipher.seal(engine.crypto, header, payloads));
}

/** Sends the response and keeps it for when the request comes again (RFC 7296 section 2.1). */
export function sendResponse(engine: EngineContext, sa: IkeSa, request: ReceivedRequest, datagram: Uint8Array): void {
  if (sa.answered?.messageId === request.messageId) sa.answered = { ...sa.answered, response: datagram };
  engine.send(request.local, request.remote, datagram);
}
