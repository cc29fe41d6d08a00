/**
 * An IKE_SA_INIT request that makes no IKE SA: its KE payload is of a method that nobody has, so that the responder
 * answers with the method that it wants (RFC 7296 section 1.2), or with a cookie first (section 2.6). Neither answer
 * leaves anything at the responder.
 */
import { ProtocolFault } from "../bytes/errors.ts";
import { checkPayloads } from "../codec/checkPayloads.ts";
import { decodeMessage, encodeMessage } from "../codec/codec.ts";
import { exchangeRules } from "../codec/exchangeRules.ts";
import type { IkeHeader, Message, NotifyPayload, Payload } from "../codec/message.ts";
import { decodeCookie, encodeCookie } from "../codec/notifies/cookie.ts";
import { decodeInvalidKePayload } from "../codec/notifies/invalidKePayload.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { type AcceptableSuite, buildIkeProposals } from "../policy/ikeProposal.ts";
import { ExchangeType } from "../registry/exchangeType.ts";
import { NotifyType } from "../registry/notifyType.ts";
import { notifyOf, payloadOf } from "./payloads.ts";

/** Private use (RFC 7296 section 3.3.2): no responder selects it. */
const NO_METHOD = 1024;
const KEY_EXCHANGE_BYTES = 32;
const NONCE_BYTES = 32;
const GENERIC_HEADER_BYTES = 4;

export interface SaInitProbe {
  readonly initiatorSpi: bigint;
  readonly suites: readonly AcceptableSuite[];
  readonly nonce: Uint8Array;
  readonly keyExchangeData: Uint8Array;
}

/** What came back; `undefined` of {@link readSaInitProbeAnswer}: nothing that answers this probe. */
export type SaInitProbeAnswer =
  /** The peer makes sure that we can receive at our address: the same probe again, with this cookie. */
  | { readonly kind: "cookie"; readonly cookie: Uint8Array }
  /** Reached, a suite in common; this Key Exchange Method would be taken. */
  | { readonly kind: "suiteInCommon"; readonly keyExchangeMethod: number }
  | { readonly kind: "noSuiteInCommon" }
  /** Another answer of an IKE responder; `notifyType` when a notify said why. */
  | { readonly kind: "otherAnswer"; readonly notifyType?: number }
  /** Our own request came back: whatever is there is a mirror. */
  | { readonly kind: "mirrored" };

/** A probe that offers `suites`; each probe is another exchange. */
export function newSaInitProbe(crypto: CryptoProvider, suites: readonly AcceptableSuite[]): SaInitProbe {
  const spi = crypto.random(8);
  // RFC 7296 section 3.1: the initiator's SPI is not zero
  if (spi.every((octet) => octet === 0)) spi[0] = 1;
  return {
    initiatorSpi: new DataView(spi.buffer, spi.byteOffset, 8).getBigUint64(0),
    suites,
    nonce: crypto.random(NONCE_BYTES),
    keyExchangeData: crypto.random(KEY_EXCHANGE_BYTES),
  };
}

/**
 * The request. A `cookie` stands first, all else unchanged (RFC 7296 section 2.6). With `lengthBytes` it is filled to
 * that length by a Vendor ID payload, which whoever does not know it ignores (section 3.12).
 */
export function encodeSaInitProbe(
  probe: SaInitProbe,
  options: { readonly cookie?: Uint8Array; readonly lengthBytes?: number } = {},
): Uint8Array {
  const { cookie, lengthBytes } = options;
  const header: IkeHeader = {
    initiatorSpi: probe.initiatorSpi,
    responderSpi: 0n,
    majorVersion: 2,
    minorVersion: 0,
    exchangeType: ExchangeType.IKE_SA_INIT,
    isInitiator: true,
    isResponse: false,
    hasHigherVersion: false,
    messageId: 0,
  };
  const payloads: readonly Payload[] = [
    ...(cookie === undefined ? [] : [encodeCookie(cookie)]),
    { kind: "SA", proposals: buildIkeProposals(probe.suites) },
    { kind: "KE", method: NO_METHOD, data: probe.keyExchangeData },
    { kind: "Nonce", data: probe.nonce },
  ];
  const plain = encodeMessage(header, payloads);
  const missing = (lengthBytes ?? 0) - plain.length - GENERIC_HEADER_BYTES;
  if (missing <= 0) return plain;
  return encodeMessage(header, [...payloads, { kind: "V", data: new Uint8Array(missing) }]);
}

/** Nothing in it is authenticated: it says that somebody answers there, not who. */
export function readSaInitProbeAnswer(probe: SaInitProbe, datagram: Uint8Array): SaInitProbeAnswer | undefined {
  try {
    const message = decodeMessage(datagram);
    const { header } = message;
    if (header.exchangeType !== ExchangeType.IKE_SA_INIT || header.initiatorSpi !== probe.initiatorSpi)
      return undefined;
    if (!header.isResponse) return { kind: "mirrored" };
    return header.isInitiator || header.messageId !== 0 ? undefined : answerOf(message);
  } catch (error) {
    if (error instanceof ProtocolFault) return undefined;
    throw error;
  }
}

function answerOf({ payloads }: Message): SaInitProbeAnswer {
  if (payloadOf(payloads, "SA") !== undefined) return { kind: "otherAnswer" };
  checkPayloads(exchangeRules.ikeSaInit.refusal, payloads);
  const cookie = notifyOf(payloads, NotifyType.COOKIE);
  if (cookie !== undefined) return { kind: "cookie", cookie: new Uint8Array(decodeCookie(cookie)) };
  const wanted = notifyOf(payloads, NotifyType.INVALID_KE_PAYLOAD);
  if (wanted !== undefined) return { kind: "suiteInCommon", keyExchangeMethod: decodeInvalidKePayload(wanted) };
  if (notifyOf(payloads, NotifyType.NO_PROPOSAL_CHOSEN) !== undefined) return { kind: "noSuiteInCommon" };
  const other = payloads.find((payload): payload is NotifyPayload => payload.kind === "N");
  return { kind: "otherAnswer", ...(other === undefined ? {} : { notifyType: other.notifyType }) };
}
