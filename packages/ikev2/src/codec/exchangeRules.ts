import { ExchangeType } from "../registry/exchangeType.ts";
import { NotifyType } from "../registry/notifyType.ts";
import { SecurityProtocolId } from "../registry/securityProtocolId.ts";
import type { Payload } from "./message.ts";

/*
 * Which payload may occur in which message, how often, in the clear or inside of SK: RFC 7296 appendix C as a table.
 * Notify, Vendor ID and unknown payloads may stand anywhere, so no rule names them. CREATE_CHILD_SA and IKE_AUTH may
 * come without traffic selectors: that is the form of MKTs in which the peer's configuration leaves one session only.
 */

export type PayloadKind = Exclude<Payload["kind"], "N" | "V" | "Unknown">;

/** In the order in which their absence is complained about. */
export const payloadKinds = [
  "IDi",
  "IDr",
  "CERT",
  "CERTREQ",
  "AUTH",
  "EAP",
  "CP",
  "SA",
  "Nonce",
  "KE",
  "TSi",
  "TSr",
  "D",
] as const satisfies readonly PayloadKind[];

/** How often a payload may occur: [at least, at most]. */
export type Occurrence = readonly [minimum: number, maximum: number];

export interface MessageRule {
  /** As people say it: "IKE_AUTH request". */
  readonly name: string;
  readonly section: string;
  /** Inside of an Encrypted payload, or (IKE_SA_INIT) in the clear. */
  readonly isEncrypted: boolean;
  /** What is not named must not occur. */
  readonly payloads: Readonly<Partial<Record<PayloadKind, Occurrence>>>;
  /** Notifies whose number matters. */
  readonly notifies?: readonly { readonly notifyType: number; readonly occurrence: Occurrence }[];
  /** The first cannot be without the second. */
  readonly requires?: readonly (readonly [PayloadKind, PayloadKind])[];
  /** What the SA payload is: an offer numbered from 1, or the one proposal chosen (RFC 7296 section 3.3.1). */
  readonly proposals?: "offer" | "choice";
  /** The protocols that the SA payload may be about. */
  readonly about?: "initialIkeSa" | "rekeyedIkeSa" | "childSa";
  /** An answer that refuses says why in a notify. */
  readonly needsNotify?: boolean;
}

/** One exchange: its request, the normal response, and the one that refuses. */
export interface ExchangeRule {
  readonly name: string;
  readonly request: MessageRule;
  readonly response: MessageRule;
  readonly refusal: MessageRule;
}

const once: Occurrence = [1, 1];
const optional: Occurrence = [0, 1];
const any: Occurrence = [0, Number.POSITIVE_INFINITY];

const bothSelectorsAndSa = [
  ["TSi", "TSr"],
  ["TSr", "TSi"],
  ["TSi", "SA"],
] as const;
const noRekeySa = [{ notifyType: NotifyType.REKEY_SA, occurrence: [0, 0] }] as const;
const oneRekeySa = [{ notifyType: NotifyType.REKEY_SA, occurrence: once }] as const;

/** RFC 7296 section 1.2 and appendix C.1. */
const ikeSaInit: ExchangeRule = {
  name: "IKE_SA_INIT",
  request: {
    name: "IKE_SA_INIT request",
    section: "RFC 7296 section 1.2",
    isEncrypted: false,
    payloads: { SA: once, KE: once, Nonce: once },
    notifies: [{ notifyType: NotifyType.COOKIE, occurrence: optional }],
    proposals: "offer",
    about: "initialIkeSa",
  },
  response: {
    name: "IKE_SA_INIT response",
    section: "RFC 7296 section 1.2",
    isEncrypted: false,
    payloads: { SA: once, KE: once, Nonce: once, CERTREQ: any },
    proposals: "choice",
    about: "initialIkeSa",
  },
  refusal: {
    name: "IKE_SA_INIT refusal",
    section: "RFC 7296 section 2.6",
    isEncrypted: false,
    payloads: {},
    needsNotify: true,
  },
};

/**
 * RFC 7296 section 1.2, appendix C.2 and the first messages of C.3; without SA and TS: childless (RFC 6023 section 4).
 * A request without AUTH asks for EAP (RFC 7296 section 2.16).
 */
const ikeAuth: ExchangeRule = {
  name: "IKE_AUTH",
  request: {
    name: "IKE_AUTH request",
    section: "RFC 7296 section 1.2",
    isEncrypted: true,
    payloads: {
      IDi: once,
      CERT: any,
      CERTREQ: any,
      IDr: optional,
      AUTH: optional,
      CP: optional,
      SA: optional,
      TSi: optional,
      TSr: optional,
    },
    notifies: noRekeySa,
    requires: bothSelectorsAndSa,
    proposals: "offer",
    about: "childSa",
  },
  response: {
    name: "IKE_AUTH response",
    section: "RFC 7296 section 1.2",
    isEncrypted: true,
    payloads: {
      IDr: once,
      CERT: any,
      AUTH: once,
      CP: optional,
      SA: optional,
      TSi: optional,
      TSr: optional,
    },
    requires: bothSelectorsAndSa,
    proposals: "choice",
    about: "childSa",
  },
  refusal: {
    name: "IKE_AUTH refusal",
    section: "RFC 7296 section 2.21.2",
    isEncrypted: true,
    payloads: {},
    needsNotify: true,
  },
};

const createChildSaRefusal = {
  name: "CREATE_CHILD_SA refusal",
  section: "RFC 7296 section 1.3",
  isEncrypted: true,
  payloads: {},
  needsNotify: true,
} as const;

const childSaPayloads = {
  SA: once,
  Nonce: once,
  KE: optional,
  CP: optional,
  TSi: optional,
  TSr: optional,
} as const;

const childSaResponse: MessageRule = {
  name: "CREATE_CHILD_SA response",
  section: "RFC 7296 section 1.3.1",
  isEncrypted: true,
  payloads: childSaPayloads,
  requires: bothSelectorsAndSa,
  proposals: "choice",
  about: "childSa",
};

/** RFC 7296 section 1.3.1 and appendix C.4. */
const createChildSa: ExchangeRule = {
  name: "CREATE_CHILD_SA (new Child SA)",
  request: {
    name: "CREATE_CHILD_SA request for a new Child SA",
    section: "RFC 7296 section 1.3.1",
    isEncrypted: true,
    payloads: childSaPayloads,
    notifies: noRekeySa,
    requires: bothSelectorsAndSa,
    proposals: "offer",
    about: "childSa",
  },
  response: childSaResponse,
  refusal: createChildSaRefusal,
};

/** RFC 7296 section 1.3.3 and appendix C.4. */
const rekeyChildSa: ExchangeRule = {
  name: "CREATE_CHILD_SA (rekey of a Child SA)",
  request: {
    name: "CREATE_CHILD_SA request to rekey a Child SA",
    section: "RFC 7296 section 1.3.3",
    isEncrypted: true,
    payloads: childSaPayloads,
    notifies: oneRekeySa,
    requires: bothSelectorsAndSa,
    proposals: "offer",
    about: "childSa",
  },
  response: childSaResponse,
  refusal: createChildSaRefusal,
};

/** RFC 7296 section 1.3.2 and appendix C.5. */
const rekeyIkeSa: ExchangeRule = {
  name: "CREATE_CHILD_SA (rekey of the IKE SA)",
  request: {
    name: "CREATE_CHILD_SA request to rekey the IKE SA",
    section: "RFC 7296 section 1.3.2",
    isEncrypted: true,
    payloads: { SA: once, Nonce: once, KE: once },
    notifies: noRekeySa,
    proposals: "offer",
    about: "rekeyedIkeSa",
  },
  response: {
    name: "CREATE_CHILD_SA response to a rekey of the IKE SA",
    section: "RFC 7296 section 1.3.2",
    isEncrypted: true,
    payloads: { SA: once, Nonce: once, KE: once },
    proposals: "choice",
    about: "rekeyedIkeSa",
  },
  refusal: createChildSaRefusal,
};

/** RFC 7296 section 1.4 and appendix C.6. Its refusal is a response like any other. */
const informationalRequest: MessageRule = {
  name: "INFORMATIONAL request",
  section: "RFC 7296 section 1.4",
  isEncrypted: true,
  payloads: { D: any, CP: optional },
};
const informationalResponse: MessageRule = { ...informationalRequest, name: "INFORMATIONAL response" };
const informational: ExchangeRule = {
  name: "INFORMATIONAL",
  request: informationalRequest,
  response: informationalResponse,
  refusal: informationalResponse,
};

export const exchangeRules = {
  ikeSaInit,
  ikeAuth,
  createChildSa,
  rekeyChildSa,
  rekeyIkeSa,
  informational,
} as const;

/**
 * The rule for a request, CREATE_CHILD_SA told apart by what is in it; undefined for exchanges that are not known.
 * `payloads`: those inside of SK, for IKE_SA_INIT those in the clear.
 */
export function exchangeRuleFor(exchangeType: number, payloads: readonly Payload[]): ExchangeRule | undefined {
  switch (exchangeType) {
    case ExchangeType.IKE_SA_INIT:
      return ikeSaInit;
    case ExchangeType.IKE_AUTH:
      return ikeAuth;
    case ExchangeType.CREATE_CHILD_SA:
      return createChildSaForm(payloads);
    case ExchangeType.INFORMATIONAL:
      return informational;
    default:
      return undefined;
  }
}

/** The rule for a response: normal when it has the payload that only a success has, else a refusal. */
export function responseRuleFor(rule: ExchangeRule, payloads: readonly Payload[]): MessageRule {
  const proof = rule === ikeAuth ? "AUTH" : "SA";
  const isNormal = payloads.some((payload) => payload.kind === proof);
  return isNormal ? rule.response : rule.refusal;
}

function createChildSaForm(payloads: readonly Payload[]): ExchangeRule {
  if (payloads.some((payload) => payload.kind === "N" && payload.notifyType === NotifyType.REKEY_SA)) {
    return rekeyChildSa;
  }
  const sa = payloads.find((payload) => payload.kind === "SA");
  return sa?.proposals[0]?.protocolId === SecurityProtocolId.IKE ? rekeyIkeSa : createChildSa;
}
