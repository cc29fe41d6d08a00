import type { Deadline } from "./deadlines.ts";
import type { UdpAddress } from "./machine.ts";
import type { Operation } from "./operation.ts";
import type { Peer } from "./peers.ts";
import type { SaCipher } from "./saCipher.ts";
import type { IkeSaState, Secured } from "./states.ts";
import type { Timer } from "./timer.ts";

/** Our request that has no response yet (RFC 7296 section 2.1). Window size is one. */
export interface OutstandingRequest {
  readonly messageId: number;
  readonly exchangeType: number;
  /** Undefined for IKE_SA_INIT and IKE_AUTH: there the state of the IKE SA knows what to do. */
  readonly operation: Operation | undefined;
  readonly triesLeft: number;
  readonly waitSeconds: number;
  readonly deadline: Deadline<Timer>;
  readonly datagram: Uint8Array;
}

/** The peer's last request, to know it again, and what we answered; no datagram: the answer is not ready. */
export interface AnsweredRequest {
  readonly messageId: number;
  /** The last octets of the request: its ICV, or for IKE_SA_INIT its nonce. */
  readonly mark: Uint8Array;
  readonly response: Uint8Array | undefined;
}

/** One IKE SA: SPIs, windows, and the state that says the rest. */
export class IkeSa {
  /** Place in the sequence of all that began and was established, to tell what overlapped. */
  readonly order: number;
  /** We are the original initiator (RFC 7296 section 2.2). */
  readonly isInitiator: boolean;
  local: UdpAddress;
  remote: UdpAddress;
  readonly initiatorSpi: bigint;
  /** Zero until the response to our IKE_SA_INIT request names it. */
  responderSpi: bigint;
  state: IkeSaState;
  /** Known from the beginning when we initiate, from IKE_AUTH on when we respond. */
  peer: Peer | undefined;
  /** Message IDs, RFC 7296 section 2.2. */
  nextRequestId = 0;
  expectedRequestId = 0;
  outstanding: OutstandingRequest | undefined;
  answered: AnsweredRequest | undefined;
  readonly queue: Operation[] = [];
  /** Half-open expiry, verdicts, commits, tombstones: what ends the present state. */
  expiry: Deadline<Timer> | undefined;
  /** Rekey, reauthentication, liveness, release: whichever comes first. */
  renewal: Deadline<Timer> | undefined;
  /** Requests of either end. */
  exchanges = 0;
  /** The initiator's nonce, by which a repeated IKE_SA_INIT request is known. */
  saInitNonce: Uint8Array | undefined;

  constructor(begin: {
    readonly order: number;
    readonly isInitiator: boolean;
    readonly local: UdpAddress;
    readonly remote: UdpAddress;
    readonly initiatorSpi: bigint;
    readonly responderSpi: bigint;
    readonly state: IkeSaState;
    readonly peer?: Peer;
  }) {
    this.order = begin.order;
    this.isInitiator = begin.isInitiator;
    this.local = begin.local;
    this.remote = begin.remote;
    this.initiatorSpi = begin.initiatorSpi;
    this.responderSpi = begin.responderSpi;
    this.state = begin.state;
    this.peer = begin.peer;
  }

  /** The SPI that we chose: it finds this IKE SA. */
  get localSpi(): bigint {
    return this.isInitiator ? this.initiatorSpi : this.responderSpi;
  }

  /** What an authenticated IKE SA knows; undefined before and after. */
  get secured(): Secured | undefined {
    return "secured" in this.state ? this.state.secured : undefined;
  }

  /** Undefined while, or after, nothing can be protected. */
  get cipher(): SaCipher | undefined {
    const { state } = this;
    if ("cipher" in state) return state.cipher;
    if ("handshake" in state) return state.handshake.cipher;
    return "secured" in state ? state.secured.cipher : undefined;
  }
}
