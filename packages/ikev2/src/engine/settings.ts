/** Numbers of the engine that belong to an implementation, not to the protocol. Durations in seconds. */
export interface EngineSettings {
  /** RFC 7296 section 2.1: first wait, growth of each further wait, and how many times a request is sent in all. */
  readonly retransmission: { readonly firstSeconds: number; readonly factor: number; readonly tries: number };
  /** From this many half-open IKE SAs on, an IKE_SA_INIT request needs a cookie (RFC 7296 section 2.6). */
  readonly cookieThreshold: number;
  /** Half-open IKE SAs that we hold at most; further IKE_SA_INIT requests are dropped. */
  readonly halfOpenLimit: number;
  /** The same for one remote address, so that forgers of one address do not fill the table before cookies are asked for. */
  readonly cookieThresholdPerAddress: number;
  /** Of these at most from one remote address (RFC 8019 section 4.1): one peer cannot keep the others out. */
  readonly halfOpenLimitPerAddress: number;
  /** How long a half-open IKE SA waits for its IKE_AUTH request. */
  readonly halfOpenSeconds: number;
  /** How many cookies, or other key exchange methods, one attempt follows before it ignores further demands. */
  readonly saInitRetries: number;
  /** How long a closed IKE SA still answers a repeated last request from memory. */
  readonly responseMemorySeconds: number;
  /** How long the one who validates certificates may take; then the peer is refused. */
  readonly certificateSeconds: number;
  /** How long a responder's MKT may take until `commit`; then the peer gets TEMPORARY_FAILURE. */
  readonly commitSeconds: number;
  /** RFC 7296 section 2.25: wait before a request is repeated that met TEMPORARY_FAILURE, and how often. */
  readonly temporaryFailure: { readonly delaySeconds: number; readonly tries: number };
  /** Wait before a failed rekey or reauthentication of an IKE SA is tried again. */
  readonly renewalRetrySeconds: number;
  /** How long the replaced IKE SA waits for the Delete of the peer that rekeyed it. */
  readonly replacedSeconds: number;
  /** How often reauthentication is tried; then the IKE SA, whose authentication is too old, is deleted. */
  readonly reauthenticationTries: number;
  /** IKE SAs of one authenticated peer, old ones that wait for their end included; more push out the oldest. */
  readonly ikeSasPerPeer: number;
  /** Send INITIAL_CONTACT when we know of no other IKE SA with the peer (RFC 7296 section 2.4). */
  readonly initialContact: boolean;
  /** Rekey lifetimes are shortened by a random part of at most this share (RFC 7296 section 2.8.1). */
  readonly jitter: number;
  /** An IKE SA is rekeyed when either Message ID or the number of messages sent reaches this (section 2.2). */
  readonly rekeyAtMessages: number;
  /** It is closed when that failed and the numbers go on to this: they MUST NOT wrap (section 2.2). */
  readonly closeAtMessages: number;
  /** Answers outside of an IKE SA that report an error, at most this many a second (section 2.21.4). */
  readonly unprotectedErrorsPerSecond: number;
}

export const defaultSettings: EngineSettings = {
  retransmission: { firstSeconds: 1, factor: 1.8, tries: 6 },
  cookieThreshold: 64,
  halfOpenLimit: 1024,
  cookieThresholdPerAddress: 8,
  halfOpenLimitPerAddress: 64,
  halfOpenSeconds: 45,
  saInitRetries: 5,
  responseMemorySeconds: 60,
  certificateSeconds: 20,
  commitSeconds: 20,
  temporaryFailure: { delaySeconds: 5, tries: 24 },
  renewalRetrySeconds: 60,
  replacedSeconds: 120,
  reauthenticationTries: 10,
  ikeSasPerPeer: 16,
  initialContact: true,
  jitter: 0.1,
  rekeyAtMessages: 2 ** 31,
  closeAtMessages: 2 ** 32 - 2 ** 16,
  unprotectedErrorsPerSecond: 10,
};
