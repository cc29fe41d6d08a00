/** The initiator's check of the answer to its offer of an MKT: RFC 7296 sections 2.7, 2.9 and 3.3.6. */
import type { Secret } from "../../bytes/secret.ts";
import type { Payload, Proposal } from "../../codec/message.ts";
import type { TrafficSelector } from "../../codec/trafficSelector.ts";
import { tcpAoMasterKeyLength } from "../../crypto/keys.ts";
import type { KeyExchange } from "../../crypto/provider.ts";
import { hasKeyId } from "../../policy/keyIdBitmap.ts";
import { checkMktAnswer, type MktChoice, type MktExchange } from "../../policy/mktProposal.ts";
import type { Result } from "../../policy/result.ts";
import { formatSelectors, selectorsOutside } from "../../policy/trafficSelectors.ts";
import type { KeyIdBitmap, MktTerms } from "../machine.ts";
import { payloadOf } from "../payloads.ts";

/** What the last request said. */
export interface MktOffer {
  readonly exchange: MktExchange;
  readonly proposals: readonly Proposal[];
  readonly keyExchange: { readonly method: number; readonly pair: KeyExchange } | undefined;
  /** In CREATE_CHILD_SA; IKE_AUTH uses the nonces of IKE_SA_INIT. */
  readonly ni: Uint8Array | undefined;
  /** Our SendID of the MKT that REKEY_SA named. */
  readonly rekeys: number | undefined;
}

export interface AcceptedMkt {
  readonly choice: MktChoice;
  readonly localSelectors: readonly TrafficSelector[];
  readonly remoteSelectors: readonly TrafficSelector[];
  /** g^ir (new), with PFS. */
  readonly sharedSecret: Secret | undefined;
}

/** The error is a sentence for people. */
export function checkMktResponse(
  offer: MktOffer,
  wanted: { readonly terms: MktTerms; readonly taken: KeyIdBitmap },
  payloads: readonly Payload[],
): Result<AcceptedMkt, string> {
  const answer = payloadOf(payloads, "SA");
  if (answer === undefined) return wrong("the answer holds no proposal");
  // RFC 7296 section 3.3.6: the initiator MUST check that the accepted offer is consistent with its proposals
  const checked = checkMktAnswer(offer.proposals, answer);
  if (!checked.ok) return wrong(checked.error.detail);
  const choice = checked.value;
  if (tcpAoMasterKeyLength(choice.integrity) === undefined)
    return wrong(`INTEG ${choice.integrity} is none of TCP-AO's`);
  if (hasKeyId(wanted.taken, choice.recvId)) return wrong(`the peer chose KeyID ${choice.recvId}, which is taken here`);
  const selectors = checkSelectors(wanted.terms, payloads);
  if (!selectors.ok) return selectors;
  const agreed = checkKeyExchange(offer, choice, payloads);
  return agreed.ok ? { ok: true, value: { choice, ...selectors.value, sharedSecret: agreed.value } } : agreed;
}

/** RFC 7296 section 2.9: the responder may have narrowed, never widened. */
function checkSelectors(
  terms: MktTerms,
  payloads: readonly Payload[],
): Result<Pick<AcceptedMkt, "localSelectors" | "remoteSelectors">, string> {
  const localSelectors = payloadOf(payloads, "TSi")?.selectors;
  const remoteSelectors = payloadOf(payloads, "TSr")?.selectors;
  if (localSelectors === undefined || remoteSelectors === undefined) return wrong("the answer lacks traffic selectors");
  const outside = [
    ...selectorsOutside(localSelectors, terms.localSelectors),
    ...selectorsOutside(remoteSelectors, terms.remoteSelectors),
  ];
  if (outside.length > 0) return wrong(`traffic selectors were widened: ${formatSelectors(outside)}`);
  return { ok: true, value: { localSelectors: localSelectors.map(copy), remoteSelectors: remoteSelectors.map(copy) } };
}

/** RFC 7296 section 1.3: KEr is there exactly when the chosen suite has the group of KEi. */
function checkKeyExchange(
  offer: MktOffer,
  choice: MktChoice,
  payloads: readonly Payload[],
): Result<Secret | undefined, string> {
  if (choice.keyExchange === undefined) return { ok: true, value: undefined };
  const ke = payloadOf(payloads, "KE");
  const own = offer.keyExchange;
  if (own === undefined || own.method !== choice.keyExchange || ke?.method !== own.method) {
    return wrong(`key exchange method ${choice.keyExchange} was chosen, but its KE payload is missing`);
  }
  // RFC 6989 section 2: the peer's value is tested before use
  const sharedSecret = own.pair.agree(ke.data);
  return sharedSecret === undefined
    ? wrong("the key exchange data are not acceptable")
    : { ok: true, value: sharedSecret };
}

/** Selectors outlive the datagram of which they are views. */
export function copy(selector: TrafficSelector): TrafficSelector {
  if (selector.kind === "unknown") return { ...selector, data: new Uint8Array(selector.data) };
  const { startAddress, endAddress } = selector;
  return { ...selector, startAddress: new Uint8Array(startAddress), endAddress: new Uint8Array(endAddress) };
}

function wrong(detail: string): { readonly ok: false; readonly error: string } {
  return { ok: false, error: detail };
}
