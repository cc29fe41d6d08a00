/**
 * The contract between the IKEv2 engine and whoever drives it (DESIGN: the machine contract).
 * The engine is a state machine without I/O: inputs in, ordered effects out.
 */
import type { Secret } from "../bytes/secret.ts";
import type { KeyLifetime } from "../codec/notifies/keyLifetime.ts";
import type { TrafficSelector } from "../codec/trafficSelector.ts";
import type { SigningKey } from "../crypto/provider.ts";

declare const milliseconds: unique symbol;
/** A moment on a monotonic clock, in milliseconds. */
export type Instant = number & { readonly [milliseconds]: "monotonic" };
/** A moment of wall-clock time, in milliseconds since 1970-01-01T00:00:00Z. */
export type UnixMilliseconds = number & { readonly [milliseconds]: "wall" };

export interface Now {
  readonly monotonic: Instant;
  readonly wall: UnixMilliseconds;
}

export interface Machine<Input, Effect> {
  /** Synchronous; nothing that comes from the network can make it throw. */
  handle(input: Input, now: Now): readonly Effect[];
  /** When to call handle({ kind: "timeout" }) at the latest. */
  nextDeadline(): Instant | undefined;
}

/** An IP address in its canonical text form (RFC 5952 for IPv6) and a UDP port. */
export interface UdpAddress {
  readonly address: string;
  readonly port: number;
}

/** Identification as on the wire, RFC 7296 section 3.5. */
export interface Identity {
  readonly idType: number;
  readonly data: Uint8Array;
}

export type LocalAuthentication =
  | { readonly kind: "psk"; readonly secret: Secret }
  /** `certificates`: DER, end entity first; empty for a raw public key (RFC 7670). */
  | { readonly kind: "signature"; readonly key: SigningKey; readonly certificates: readonly Uint8Array[] };

export type RemoteAuthentication =
  | { readonly kind: "psk"; readonly secret: Secret }
  /** SHA-256 over the SubjectPublicKeyInfo; any certificate or raw key with one of these public keys will do. */
  | { readonly kind: "pinned"; readonly fingerprints: readonly Uint8Array[] }
  /** A chain to a trust anchor, and the identity inside the certificate: judged by whoever answers validateCertificate. */
  | { readonly kind: "certificate" };

/** One IKE suite in order of preference; numbers from the registry. For AEAD `integrity` is empty. */
export interface IkeSuite {
  readonly encryption: readonly { readonly id: number; readonly keyLengthBits?: number }[];
  readonly integrity: readonly number[];
  readonly prf: readonly number[];
  readonly keyExchange: readonly number[];
}

/** A configured peer: the pair (local identity, remote identity) is unique; `name` is unique too. */
export interface IkePeer {
  readonly name: string;
  readonly localIdentity: Identity;
  readonly remoteIdentity: Identity;
  readonly local: UdpAddress;
  readonly remote: UdpAddress;
  readonly localAuthentication: LocalAuthentication;
  readonly remoteAuthentication: RemoteAuthentication;
  /** In order of preference. */
  readonly suites: readonly IkeSuite[];
  readonly rekeyAfterSeconds: number;
  readonly reauthenticateAfterSeconds: number;
  /** Empty INFORMATIONAL after this long without a valid message from the peer (RFC 7296 section 2.4). */
  readonly livenessAfterSeconds: number;
  /** Undefined: keep the IKE SA. Otherwise: delete it after so long without an exchange ("ike-sa: release"). */
  readonly releaseAfterIdleSeconds?: number;
}

/** What we would accept for one MKT; lists in order of preference, numbers from the registry. */
export interface MktTerms {
  /** INTEG transform ids: 8 AES-CMAC-96, 2 HMAC-SHA-1-96, 12 HMAC-SHA-256-128. */
  readonly integrity: readonly number[];
  /** TCP_OPT transform ids: 1 options covered, 0 not covered. */
  readonly tcpOptions: readonly number[];
  /** Key exchange methods for PFS in CREATE_CHILD_SA; empty: no PFS. */
  readonly keyExchange: readonly number[];
  /** Traffic selectors of our end and of the peer's end. */
  readonly localSelectors: readonly TrafficSelector[];
  readonly remoteSelectors: readonly TrafficSelector[];
}

/** Octets of a KMP_KEYIDS_TAKEN bitmap: id n is bit (n & 7), counted from the least significant, of octet n >> 3. */
export type KeyIdBitmap = Uint8Array;

/** Something told to the peer in an INFORMATIONAL request. */
export type InformItem =
  | { readonly kind: "keyState"; readonly sendId: number; readonly state: number; readonly reason: string }
  | { readonly kind: "deleteMkts"; readonly sendIds: readonly number[] }
  | { readonly kind: "freeze"; readonly seconds: number };

export type IkeInput =
  | { readonly kind: "datagram"; readonly local: UdpAddress; readonly remote: UdpAddress; readonly data: Uint8Array }
  | { readonly kind: "timeout" }
  /** Replaces the whole set of peers. IKE SAs of peers that are gone or changed identity or credential are deleted. */
  | { readonly kind: "configure"; readonly peers: readonly IkePeer[] }
  /**
   * Negotiate an MKT with `peer`. Uses an established IKE SA, else begins one with the MKT in IKE_AUTH. `rekeys` is our
   * SendID of the MKT to replace; when the IKE SA at hand does not own that MKT, a plain new one is negotiated.
   * Ends in `mktNegotiated` or `mktFailed` with the same requestId.
   */
  | {
      readonly kind: "createMkt";
      readonly requestId: number;
      readonly peer: string;
      readonly sendId: number;
      readonly taken: KeyIdBitmap;
      readonly terms: MktTerms;
      readonly rekeys?: number;
      /** Told to a peer that speaks karp; a hint. */
      readonly lifetime?: KeyLifetime;
    }
  /**
   * Tell the peer. With `connect` an IKE SA is begun (childless, RFC 6023) when there is none; without, the request
   * fails with "noIkeSa". Ends in `informed` or `informFailed`.
   */
  | {
      readonly kind: "inform";
      readonly requestId: number;
      readonly peer: string;
      readonly items: readonly InformItem[];
      readonly connect: boolean;
    }
  /** A responder's MKT is on disk: its response may leave. */
  | { readonly kind: "commit"; readonly commitId: number }
  /** It could not be stored: answer with this error notify instead, forget the MKT. */
  | { readonly kind: "abort"; readonly commitId: number; readonly notifyType: number }
  | { readonly kind: "certificateValidated"; readonly requestId: number; readonly verdict: CertificateVerdict }
  | { readonly kind: "rekeyIkeSa"; readonly peer: string }
  | { readonly kind: "closeIkeSa"; readonly peer: string }
  /** Give up everything that waits for this peer (session removed, revoked). */
  | { readonly kind: "abandon"; readonly requestId: number };

export type CertificateVerdict = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** What the peer answered or why it never did. `notifyType` is set when a notify said so. */
export interface ExchangeFailure {
  readonly reason:
    | "timeout"
    | "authenticationFailed"
    | "identityMismatch"
    | "certificateRefused"
    | "refusedByPeer"
    | "noProposalChosen"
    | "invalidResponse"
    | "noIkeSa"
    | "childlessNotSupported"
    | "ikeSaClosed"
    | "abandoned"
    | "peerUnknown";
  readonly notifyType?: number;
  /** A sentence for people; no secrets. */
  readonly detail: string;
}

export interface NegotiatedMkt {
  readonly peer: string;
  readonly isInitiator: boolean;
  /** Present on the initiator's side: the request that asked for it. */
  readonly requestId?: number;
  /** Present on the responder's side: hold the response until `commit` or `abort` with this id. */
  readonly commitId?: number;
  readonly sendId: number;
  readonly recvId: number;
  readonly masterKey: Secret;
  readonly integrity: number;
  readonly tcpOptions: number;
  /** Undefined: no PFS (also in IKE_AUTH). */
  readonly keyExchange?: number;
  readonly localSelectors: readonly TrafficSelector[];
  readonly remoteSelectors: readonly TrafficSelector[];
  /** Our SendID of the MKT that this one replaces, when REKEY_SA was used. */
  readonly replaces?: number;
  /** What decided MktPolicy.consider on the responder's side (session name, opaque to the engine). */
  readonly context?: string;
  readonly credentialFingerprint: string;
  /** As in `createMkt` or in the policy's decision: whether the peer was told depends on whether it speaks karp. */
  readonly lifetime?: KeyLifetime;
  /** The peer's KMP_KEY_LIFETIME: a hint. */
  readonly peerLifetime?: KeyLifetime;
  /** The lowest of the four nonces belongs to us/peer: for collision rules (RFC 7296 section 2.8.1). */
  readonly nonces: { readonly initiator: Uint8Array; readonly responder: Uint8Array };
}

export type IkeEvent =
  | {
      readonly kind: "ikeSaEstablished";
      readonly peer: string;
      readonly isInitiator: boolean;
      /** Both ends sent the Vendor ID: private notifies may be used. */
      readonly peerSpeaksKarp: boolean;
      readonly credentialFingerprint: string;
      readonly initialContact: boolean;
      /** For `show`: suite as text, for example "AES-GCM-16-128, PRF-HMAC-SHA2-256, X25519". */
      readonly suite: string;
    }
  | { readonly kind: "ikeSaRekeyed"; readonly peer: string }
  | { readonly kind: "ikeSaClosed"; readonly peer: string; readonly failure?: ExchangeFailure }
  /** An IKE SA that we began did not come up. */
  | { readonly kind: "ikeSaFailed"; readonly peer: string; readonly failure: ExchangeFailure }
  /** Somebody failed to authenticate to us, or claimed what he may not. `peer` when a configured one was named. */
  | { readonly kind: "peerRejected"; readonly peer?: string; readonly remote: UdpAddress; readonly detail: string }
  | ({ readonly kind: "mktNegotiated" } & NegotiatedMkt)
  | {
      readonly kind: "mktFailed";
      readonly peer: string;
      readonly requestId: number;
      readonly failure: ExchangeFailure;
      /** From KEYID_IN_USE or KMP_KEYIDS_TAKEN in the answer. */
      readonly takenByPeer?: KeyIdBitmap;
    }
  | { readonly kind: "informed"; readonly peer: string; readonly requestId: number }
  | {
      readonly kind: "informFailed";
      readonly peer: string;
      readonly requestId: number;
      readonly failure: ExchangeFailure;
    }
  /** KMP_KEY_STATE: `recvId` is our RecvID (the sender's SendID). */
  | {
      readonly kind: "keyState";
      readonly peer: string;
      readonly recvId: number;
      readonly state: number;
      readonly reason: string;
    }
  | { readonly kind: "freeze"; readonly peer: string; readonly seconds: number }
  /**
   * The peer will not prefer these again; `recvIds` are our RecvIDs. Already answered. Also an MKT whose answer never left
   * (no `commit` in time, or the IKE SA went): the peer does not know it, and a later `commit` does nothing.
   */
  | { readonly kind: "mktsDeleted"; readonly peer: string; readonly recvIds: readonly number[] };

export type IkeEffect =
  | { readonly kind: "send"; readonly local: UdpAddress; readonly remote: UdpAddress; readonly data: Uint8Array }
  | { readonly kind: "event"; readonly event: IkeEvent }
  /** Validate this chain (DER, end entity first) for this peer; answer with `certificateValidated`. */
  | {
      readonly kind: "validateCertificate";
      readonly requestId: number;
      readonly peer: string;
      readonly remoteIdentity: Identity;
      readonly chain: readonly Uint8Array[];
    }
  | { readonly kind: "log"; readonly event: IkeLogEvent };

/** Things worth a line in the log that change nothing. Texts carry no secrets; peer-made text is escaped. */
export interface IkeLogEvent {
  readonly name: string;
  readonly level: "debug" | "info" | "warn";
  readonly peer?: string;
  readonly remote?: UdpAddress;
  readonly detail: string;
}

/** An MKT that a peer asks for, as the responder's policy sees it. */
export interface MktRequest {
  readonly peer: string;
  /** The peer's SendID: our RecvID. */
  readonly recvId: number;
  /** Undefined: the form without TS payloads (as the RKMP slides of the KARP working group have it): the peer may have just one session that it can mean. */
  readonly localSelectors?: readonly TrafficSelector[];
  readonly remoteSelectors?: readonly TrafficSelector[];
  /** SendIDs that the peer cannot take (its KMP_KEYIDS_TAKEN). */
  readonly taken?: KeyIdBitmap;
  /** REKEY_SA: our RecvID of the MKT to replace (the peer's SendID). */
  readonly rekeys?: number;
  /** When the peer means to replace the MKT, and to let it go (its KMP_KEY_LIFETIME): a hint. */
  readonly peerLifetime?: KeyLifetime;
  /** True inside IKE_AUTH (no PFS possible there). */
  readonly inIkeAuth: boolean;
}

export type MktDecision =
  | {
      readonly kind: "accept";
      readonly sendId: number;
      readonly terms: MktTerms;
      /** Our SendID of the MKT replaced. */
      readonly replaces?: number;
      readonly context: string;
      /** Told to a peer that speaks karp; a hint. */
      readonly lifetime?: KeyLifetime;
    }
  | { readonly kind: "refuse"; readonly notifyType: number; readonly data?: Uint8Array; readonly detail: string };

/**
 * Decisions that the responder needs inside one `handle`. Queries only: they change nothing (the events do that),
 * they are total, and they return at once.
 */
export interface MktPolicy {
  consider(request: MktRequest, now: Now): MktDecision;
  /** Our SendIDs of the MKTs named by these RecvIDs: what the answer to a D payload carries (RFC 7296 section 1.4.1). */
  answerDelete(peer: string, recvIds: readonly number[]): readonly number[];
}
