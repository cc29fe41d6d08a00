import type { Payload } from "../codec/message.ts";
import type { KeyExchange } from "../crypto/provider.ts";
import type { ReceivedRequest } from "./exchange.ts";
import type { IkeSa } from "./ikeSa.ts";
import type { ExchangeFailure, Instant, NegotiatedMkt, UnixMilliseconds } from "./machine.ts";
import type { MktCreation } from "./operations/createMkt.ts";
import type { Peer } from "./peers.ts";
import type { SaCipher } from "./saCipher.ts";

/** What the IKE_SA_INIT exchange fixed; needed until IKE_AUTH is over. */
export interface Handshake {
  readonly cipher: SaCipher;
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  /** RealMessage1 and RealMessage2 of RFC 7296 section 2.15, from the IKE header on. */
  readonly realMessage1: Uint8Array;
  /** At the responder: the newest copy of RealMessage1 that differs from it in the cookie; see cookieVariants.ts. */
  readonly realMessage1Variant?: Uint8Array;
  readonly realMessage2: Uint8Array;
  /** From the peer's SIGNATURE_HASH_ALGORITHMS; undefined: it does not speak RFC 7427. */
  readonly peerHashes: readonly number[] | undefined;
  /** The Vendor ID of karp was in both messages. */
  readonly peerSpeaksKarp: boolean;
}

/** A responder's answer that may not leave before its MKT is on disk. */
export interface HeldResponse {
  readonly commitId: number;
  readonly request: ReceivedRequest;
  /** The response of IKE_AUTH: until it is sent, the peer cannot understand requests of ours. */
  readonly isInIkeAuth: boolean;
  /** The answer when the MKT is stored. */
  readonly payloads: readonly Payload[];
  /** What of it stays when the MKT is not stored: an error notify follows (RFC 7296 section 2.21.2). */
  readonly payloadsOnAbort: readonly Payload[];
  readonly mkt: Pick<NegotiatedMkt, "sendId" | "recvId">;
}

/**
 * The initial exchanges from which an IKE SA descends, through whatever rekeys. Two IKE SAs that began at the same time
 * are told apart by this: a rekey changes the roles, the nonces and the age of one of them, and the two ends do not
 * notice a rekey at the same moment.
 */
export interface Origin {
  /** We sent the IKE_SA_INIT request. */
  readonly isInitiator: boolean;
  /** Lowest of the two nonces of IKE_SA_INIT. */
  readonly lowestNonce: Uint8Array;
  /** Place in the sequence of all that began and was established; see IkeSa.order. */
  readonly establishedOrder: number;
}

/** What an authenticated IKE SA knows. The exchanges change it in place; each field says who. */
export interface Secured {
  readonly cipher: SaCipher;
  readonly peer: Peer;
  readonly peerSpeaksKarp: boolean;
  readonly credentialFingerprint: string;
  /** Lowest of the two nonces that made it: for simultaneous rekeys (RFC 7296 section 2.8.2). */
  readonly lowestNonce: Uint8Array;
  /** For simultaneous initiation, reauthentication and INITIAL_CONTACT. */
  readonly origin: Origin;
  readonly establishedAt: UnixMilliseconds;
  /** MKTs that this IKE SA or its predecessors made: our SendID to our RecvID. They move when it is rekeyed. */
  readonly mkts: Map<number, number>;
  held: HeldResponse | undefined;
  /** The IKE SA that the peer made in its own rekey while ours was unanswered (RFC 7296 section 2.8.2). */
  rekeyedByPeer: IkeSa | undefined;
  readonly lifetime: Lifetime;
}

/** When the IKE SA has to be renewed, asked for life, released; moved on by the exchanges. */
export interface Lifetime {
  rekeyAt: Instant;
  /** How often the peer answered a rekey with TEMPORARY_FAILURE. */
  rekeyFailures: number;
  reauthenticateAt: Instant;
  /** How often that was begun. */
  reauthenticationTries: number;
  /** A fresh authentic message came. */
  lastHeardAt: Instant;
  /** We asked for a sign of life. */
  lastProbedAt: Instant;
  /** An exchange that was more than a liveness check. */
  lastUsedAt: Instant;
}

/** IKE_SA_INIT request sent. */
export interface SaInitSent {
  readonly name: "saInitSent";
  readonly ni: Uint8Array;
  readonly keyExchange: KeyExchange;
  readonly keyExchangeMethod: number;
  readonly triedMethods: readonly number[];
  readonly cookie: Uint8Array | undefined;
  readonly retries: number;
  /** An unauthenticated complaint: told to the caller when the time is over (RFC 7296 section 2.21.1). */
  readonly complaint: ExchangeFailure | undefined;
}

/** IKE_AUTH request sent, with or without an MKT (RFC 6023). */
export interface AuthSent {
  readonly name: "authSent";
  readonly handshake: Handshake;
  readonly mkt: MktCreation | undefined;
}

/** The responder's AUTH is right; its certificate is being judged. */
export interface JudgingResponder {
  readonly name: "judgingResponder";
  readonly handshake: Handshake;
  readonly mkt: MktCreation | undefined;
  readonly validationId: number;
  readonly fingerprint: string;
  readonly response: readonly Payload[];
}

/** IKE_SA_INIT answered; nobody is authenticated yet. */
export interface HalfOpen {
  readonly name: "halfOpen";
  readonly handshake: Handshake;
}

/** The initiator's AUTH is right; its certificate is being judged, the answer waits. */
export interface JudgingInitiator {
  readonly name: "judgingInitiator";
  readonly handshake: Handshake;
  readonly peer: Peer;
  readonly validationId: number;
  readonly fingerprint: string;
  readonly request: ReceivedRequest;
  readonly payloads: readonly Payload[];
}

export interface Established {
  readonly name: "established";
  readonly secured: Secured;
}

/** Lost a simultaneous initiation: who began it closes it, new requests take the other one. */
export interface Redundant {
  readonly name: "redundant";
  readonly secured: Secured;
}

/** Rekeyed: the initiator of the rekey deletes it (RFC 7296 section 2.8). */
export interface Replaced {
  readonly name: "replaced";
  readonly secured: Secured;
  readonly successor: IkeSa;
}

/** Our Delete, or the notify that takes its place, is queued or sent. */
export interface Closing {
  readonly name: "closing";
  readonly cipher: SaCipher;
  /** Undefined when it was never established for us. */
  readonly secured: Secured | undefined;
}

/** Gone, but for the last response, should the last request come again. */
export interface Closed {
  readonly name: "closed";
}

export type SecuredState = Established | Redundant | Replaced;
export type IkeSaState =
  | SaInitSent
  | AuthSent
  | JudgingResponder
  | HalfOpen
  | JudgingInitiator
  | SecuredState
  | Closing
  | Closed;
