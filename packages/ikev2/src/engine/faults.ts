/** What a fault of the peer leads to, by where it was found: RFC 7296 section 2.21. */
import { MalformedMessage, ProtocolFault } from "../bytes/errors.ts";
import { encodeMessage } from "../codec/codec.ts";
import { decodeHeader } from "../codec/header.ts";
import { encodeFaultNotify, encodePlainNotify } from "../codec/notifies/notify.ts";
import { NotifyType } from "../registry/notifyType.ts";
import { failAttempt } from "./attempt.ts";
import type { EngineContext } from "./context.ts";
import { type ReceivedRequest, sendProtectedResponse } from "./exchange.ts";
import type { IkeSa } from "./ikeSa.ts";
import type { ExchangeFailure, UdpAddress } from "./machine.ts";
import { isLast, type Operation } from "./operation.ts";
import { rememberComplaint } from "./operations/saInit.ts";
import { closeGracefully, removeIkeSa } from "./removal.ts";

/** How far a datagram had come. */
export type Place =
  /** Not authenticated. */
  | { readonly kind: "clear"; readonly local: UdpAddress; readonly remote: UdpAddress; readonly data: Uint8Array }
  /** Not authenticated either, but for an attempt of ours. */
  | { readonly kind: "saInitResponse"; readonly sa: IkeSa }
  | { readonly kind: "request"; readonly sa: IkeSa; readonly request: ReceivedRequest }
  | { readonly kind: "response"; readonly sa: IkeSa; readonly operation: Operation | undefined };

export function handleFault(engine: EngineContext, place: Place, fault: unknown): void {
  if (!(fault instanceof ProtocolFault)) {
    engine.counters.internalErrors++;
    const detail = fault instanceof Error ? `${fault.name}: ${fault.message}` : "no error object";
    engine.log({ name: "internalError", level: "warn", detail });
    abandonPlace(engine, place);
    return;
  }
  switch (place.kind) {
    case "clear":
      faultInTheClear(engine, place, fault);
      return;
    case "saInitResponse":
      rememberComplaint(engine, place.sa, { reason: "invalidResponse", detail: fault.message });
      return;
    case "request":
      logFault(engine, place.sa, fault);
      faultInRequest(engine, place.sa, place.request, fault);
      return;
    case "response":
      logFault(engine, place.sa, fault);
      faultInResponse(engine, place.sa, place.operation, fault);
  }
}

/** A bug of ours must not leave a state behind that nothing ends: it looks like a peer that cannot be understood. */
function abandonPlace(engine: EngineContext, place: Place): void {
  const failure: ExchangeFailure = { reason: "invalidResponse", detail: "internal error; the log says more" };
  switch (place.kind) {
    case "clear":
      return;
    case "saInitResponse":
      failAttempt(engine, place.sa, failure);
      return;
    case "request":
      removeIkeSa(engine, place.sa, { failure, operations: "move" });
      return;
    case "response":
      if (place.sa.peer?.attempt === place.sa) failAttempt(engine, place.sa, failure);
      place.operation?.failed(engine, failure);
      removeIkeSa(engine, place.sa, { failure, operations: "move" });
  }
}

/** RFC 7296 sections 2.5 and 2.21.4: only versions and critical payloads are answered, and not too often. */
function faultInTheClear(
  engine: EngineContext,
  place: Extract<Place, { readonly kind: "clear" }>,
  fault: ProtocolFault,
): void {
  const { local, remote, data } = place;
  engine.counters.malformed++;
  engine.log({ name: "malformed", level: "debug", remote, detail: fault.message });
  const notify = fault instanceof MalformedMessage ? undefined : encodeFaultNotify(fault);
  const isAnswered =
    notify?.notifyType === NotifyType.INVALID_MAJOR_VERSION ||
    notify?.notifyType === NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD;
  if (notify === undefined || !isAnswered) return;
  const { header } = decodeHeader(data);
  // RFC 7296 section 2.21.4: a message marked as a response MUST NOT be answered
  if (header.isResponse) return;
  if (!engine.unprotectedErrors.take(engine.now.monotonic)) {
    engine.counters.suppressedErrors++;
    return;
  }
  // RFC 7296 section 1.5: SPIs, Message ID and exchange type are copied, the version is ours
  const answer = { ...header, majorVersion: 2, minorVersion: 0, isInitiator: !header.isInitiator, isResponse: true };
  engine.send(local, remote, encodeMessage({ ...answer, hasHigherVersion: false }, [notify]));
}

/** RFC 7296 section 2.21.3: an authenticated request with errors MUST be answered; INVALID_SYNTAX ends the IKE SA. */
function faultInRequest(engine: EngineContext, sa: IkeSa, request: ReceivedRequest, fault: ProtocolFault): void {
  const notify = encodeFaultNotify(fault) ?? encodePlainNotify(NotifyType.INVALID_SYNTAX);
  sendProtectedResponse(engine, sa, request, [notify]);
  // RFC 7296 section 2.21.2: in IKE_AUTH either notify means that no IKE SA comes up
  if (notify.notifyType === NotifyType.INVALID_SYNTAX || sa.state.name === "halfOpen") {
    removeIkeSa(engine, sa, { failure: failureOf(fault), operations: "fail" });
  }
}

/** RFC 7296 section 2.21: no error goes back; the state is cleaned up, with a Delete where there is an IKE SA. */
function faultInResponse(
  engine: EngineContext,
  sa: IkeSa,
  operation: Operation | undefined,
  fault: ProtocolFault,
): void {
  const failure = failureOf(fault);
  if (sa.state.name === "authSent") {
    failAttempt(engine, sa, failure);
    return;
  }
  operation?.failed(engine, failure);
  if (sa.state.name !== "closing") closeGracefully(engine, sa, { failure, operations: "move" });
  // An answer to what was under way when we decided to close: the Delete is still to come
  else if (isLast(operation)) removeIkeSa(engine, sa, { failure, operations: "move" });
}

function logFault(engine: EngineContext, sa: IkeSa, fault: ProtocolFault): void {
  engine.counters.protocolFaults++;
  const peer = sa.peer === undefined ? {} : { peer: sa.peer.name };
  engine.log({ name: "protocolFault", level: "warn", ...peer, remote: sa.remote, detail: fault.message });
}

function failureOf(fault: ProtocolFault): ExchangeFailure {
  return { reason: "invalidResponse", detail: fault.message };
}
