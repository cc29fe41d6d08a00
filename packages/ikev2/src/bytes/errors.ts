/** What is wrong with octets that do not parse. */
export type MalformedCode = "truncated" | "trailingOctets" | "badLength" | "badValue" | "badCount" | "tooMany";

/** A fault of whoever sent the message; the engine catches all three kinds in one place. */
export abstract class ProtocolFault extends Error {
  /** Stable: fit for logs, tests and metrics. */
  readonly code: string;
  /** The rule that was broken, for example "RFC 7296 section 3.4". */
  readonly section: string;
  /** Notify Message Type to answer with, where an answer is due at all. */
  readonly notifyType: number | undefined;
  /** Notification Data of that answer. */
  readonly notifyData: Uint8Array;

  constructor(fault: FaultDetails) {
    super(`${fault.detail} (${fault.section})`);
    this.code = fault.code;
    this.section = fault.section;
    this.notifyType = fault.notifyType;
    this.notifyData = fault.notifyData ?? new Uint8Array(0);
  }
}

export interface FaultDetails {
  readonly code: string;
  readonly section: string;
  /** A sentence for people: no secrets, and nothing the peer wrote unless escaped. */
  readonly detail: string;
  readonly notifyType?: number | undefined;
  readonly notifyData?: Uint8Array;
}

/** The octets are not a message: some type, length, count or value is out of range (INVALID_SYNTAX). */
export class MalformedMessage extends ProtocolFault {
  override readonly name = "MalformedMessage";
  declare readonly code: MalformedCode;
  /** The field at fault, with its structure: "KE Key Exchange Data". */
  readonly field: string;
  /** Octets from the beginning of the message (of the data, for Notification Data) to that field. */
  readonly offset: number;

  constructor(fault: {
    readonly code: MalformedCode;
    readonly section: string;
    readonly field: string;
    readonly offset: number;
    readonly detail: string;
  }) {
    super({
      code: fault.code,
      section: fault.section,
      detail: `${fault.field} at octet ${fault.offset}: ${fault.detail}`,
      notifyType: 7, // INVALID_SYNTAX, RFC 7296 section 3.10.1
    });
    this.field = fault.field;
    this.offset = fault.offset;
  }
}

/** The peer is correct but asks for what we do not do (a critical payload, a version, a proposal). */
export class PeerIncompatible extends ProtocolFault {
  override readonly name = "PeerIncompatible";
}

/** The message parses but breaks the protocol. */
export class PeerMisbehaved extends ProtocolFault {
  override readonly name = "PeerMisbehaved";
}

/** Our own caller asked for what cannot be. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code: string;

  constructor(code: string, detail: string) {
    super(detail);
    this.code = code;
  }
}
