/** What the engine counts; all only grow. Unauthenticated traffic leaves no other trace than these. */
export interface EngineCounters {
  /** Datagrams that came. */
  datagrams: number;
  /** From an address that is no configured peer's. */
  unknownSource: number;
  /** No IKE message, or a payload outside of SK that does not parse. */
  malformed: number;
  /** For no IKE SA that we have, or not in a state that expects them. */
  unexpected: number;
  /** The ICV was wrong. */
  notAuthentic: number;
  /** Message ID outside of the window. */
  outsideWindow: number;
  /** Requests that came again and were answered from memory, or ignored because the answer is not ready. */
  repeatedRequests: number;
  /** Our own message came back. */
  reflected: number;
  /** IKE_SA_INIT requests dropped because of the half-open limit. */
  halfOpenLimit: number;
  cookiesSent: number;
  /** Answers outside of an IKE SA that the rate limit suppressed. */
  suppressedErrors: number;
  retransmissions: number;
  /** Peers that failed to authenticate. */
  authenticationFailures: number;
  /** Authentic messages that broke the protocol. */
  protocolFaults: number;
  /** Our own faults while handling a datagram: each is a bug, reported in the log. */
  internalErrors: number;
}

export function newCounters(): EngineCounters {
  return {
    datagrams: 0,
    unknownSource: 0,
    malformed: 0,
    unexpected: 0,
    notAuthentic: 0,
    outsideWindow: 0,
    repeatedRequests: 0,
    reflected: 0,
    halfOpenLimit: 0,
    cookiesSent: 0,
    suppressedErrors: 0,
    retransmissions: 0,
    authenticationFailures: 0,
    protocolFaults: 0,
    internalErrors: 0,
  };
}
