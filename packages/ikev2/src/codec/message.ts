import type { TrafficSelector } from "./trafficSelector.ts";

/** Fixed IKE header, RFC 7296 section 3.1. SPIs are 64-bit; `messageId` is 32-bit unsigned. */
export interface IkeHeader {
  readonly initiatorSpi: bigint;
  readonly responderSpi: bigint;
  /** Major version 0..15; ours is 2. */
  readonly majorVersion: number;
  readonly minorVersion: number;
  readonly exchangeType: number;
  /** I flag: the sender is the original initiator of the IKE SA. */
  readonly isInitiator: boolean;
  /** R flag. */
  readonly isResponse: boolean;
  /** V flag: the sender could speak a higher major version; ignored on receipt. */
  readonly hasHigherVersion: boolean;
  readonly messageId: number;
}

/** Transform attribute, RFC 7296 section 3.3.5. TV form has `value`; TLV form has `data`. */
export type TransformAttribute =
  | { readonly kind: "TV"; readonly type: number; readonly value: number }
  | { readonly kind: "TLV"; readonly type: number; readonly data: Uint8Array };

/** Transform substructure, RFC 7296 section 3.3.2. */
export interface Transform {
  readonly type: number;
  readonly id: number;
  readonly attributes: readonly TransformAttribute[];
}

/** Proposal substructure, RFC 7296 section 3.3.1. The SPI's length is the SPI Size (0, 1 for TCP_AO, 4, 8). */
export interface Proposal {
  readonly number: number;
  readonly protocolId: number;
  readonly spi: Uint8Array;
  readonly transforms: readonly Transform[];
}

export interface SaPayload {
  readonly kind: "SA";
  readonly proposals: readonly Proposal[];
}
export interface KePayload {
  readonly kind: "KE";
  readonly method: number;
  readonly data: Uint8Array;
}
export interface IdPayload {
  readonly kind: "IDi" | "IDr";
  readonly idType: number;
  readonly data: Uint8Array;
}
export interface CertPayload {
  readonly kind: "CERT";
  readonly encoding: number;
  readonly data: Uint8Array;
}
export interface CertReqPayload {
  readonly kind: "CERTREQ";
  readonly encoding: number;
  readonly authorities: Uint8Array;
}
export interface AuthPayload {
  readonly kind: "AUTH";
  readonly method: number;
  readonly data: Uint8Array;
}
export interface NoncePayload {
  readonly kind: "Nonce";
  readonly data: Uint8Array;
}
export interface NotifyPayload {
  readonly kind: "N";
  readonly protocolId: number;
  readonly spi: Uint8Array;
  readonly notifyType: number;
  readonly data: Uint8Array;
}
/** RFC 7296 section 3.11. `spiSize` is 0 for an IKE SA, then `spis` is empty. */
export interface DeletePayload {
  readonly kind: "D";
  readonly protocolId: number;
  readonly spiSize: number;
  readonly spis: readonly Uint8Array[];
}
export interface VendorIdPayload {
  readonly kind: "V";
  readonly data: Uint8Array;
}
export interface TsPayload {
  readonly kind: "TSi" | "TSr";
  readonly selectors: readonly TrafficSelector[];
}
export interface OpaquePayload {
  readonly kind: "CP" | "EAP";
  readonly data: Uint8Array;
}
/** Any payload type that this codec does not know; kept so that the critical bit can be judged. */
export interface UnknownPayload {
  readonly kind: "Unknown";
  readonly payloadType: number;
  readonly critical: boolean;
  readonly data: Uint8Array;
}

export type Payload =
  | SaPayload
  | KePayload
  | IdPayload
  | CertPayload
  | CertReqPayload
  | AuthPayload
  | NoncePayload
  | NotifyPayload
  | DeletePayload
  | VendorIdPayload
  | TsPayload
  | OpaquePayload
  | UnknownPayload;

/** The Encrypted payload (RFC 7296 section 3.14) still closed: it is always the last payload of its message. */
export interface EncryptedPayload {
  /** Next Payload field of the SK payload: type of the first payload inside. */
  readonly firstPayload: number;
  /** Everything from the IKE header to the SK generic header inclusive: the AEAD associated data. */
  readonly associatedData: Uint8Array;
  /** IV | ciphertext | ICV. */
  readonly body: Uint8Array;
}

/** A message as it came from the wire. `payloads` are those outside the SK payload. */
export interface Message {
  readonly header: IkeHeader;
  readonly payloads: readonly Payload[];
  readonly encrypted?: EncryptedPayload;
}
