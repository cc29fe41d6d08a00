/**
 * Proposals of TCP-AO master key tuples, draft-mahesh-karp-rkmp section 4.1: protocol TCP_AO, an SPI of one octet that
 * is the SendID of whoever sends the proposal, one INTEG, one TCP_OPT, and KE where PFS is wanted.
 */
import type { Proposal, SaPayload, Transform } from "../codec/message.ts";
import { tcpAoMasterKeyLength } from "../crypto/keys.ts";
import { KeyExchangeMethod } from "../registry/keyExchangeMethod.ts";
import { SecurityProtocolId } from "../registry/securityProtocolId.ts";
import { TransformType } from "../registry/transformType.ts";
import {
  acceptedProposal,
  findOrNone,
  findPlain,
  hasOnlyTypes,
  invalid,
  present,
  refused,
  transform,
} from "./proposal.ts";
import type { NegotiationFailure, Result } from "./result.ts";

/** What an end accepts for one MKT, lists in order of preference, numbers from the registry. */
export interface AcceptableMkt {
  readonly integrity: readonly number[];
  readonly tcpOptions: readonly number[];
  /** Empty: no PFS. NONE (0) in the list: PFS or not. Without meaning in IKE_AUTH. */
  readonly keyExchange: readonly number[];
}

export interface MktChoice {
  /** The peer's SendID: our RecvID. */
  readonly recvId: number;
  readonly integrity: number;
  readonly tcpOptions: number;
  /** Undefined: no PFS. */
  readonly keyExchange?: number;
}

/** IKE_AUTH has no KE payloads for a Child SA (RFC 7296 section 1.2), CREATE_CHILD_SA may have. */
export type MktExchange = "IKE_AUTH" | "CREATE_CHILD_SA";

const knownTypes: readonly number[] = [TransformType.INTEG, TransformType.TCP_OPT, TransformType.KE];

/** Our offer: one proposal with all that we accept. `sendId` is our SendID of the new MKT. */
export function buildMktProposals(terms: AcceptableMkt, sendId: number, exchange: MktExchange): readonly Proposal[] {
  const keyExchange = exchange === "IKE_AUTH" ? [] : terms.keyExchange;
  return [
    mktProposal(1, sendId, [
      ...terms.integrity.map((id) => transform(TransformType.INTEG, id)),
      ...terms.tcpOptions.map((id) => transform(TransformType.TCP_OPT, id)),
      ...keyExchange.map((id) => transform(TransformType.KE, id)),
    ]),
  ];
}

/** SendID of the first proposal that is one for an MKT: what the responder's policy is asked about; undefined: none. */
export function offeredSendId(offered: readonly Proposal[]): number | undefined {
  return offered.find(isMktProposal)?.spi[0];
}

/**
 * The responder's choice in its own order of preference. `sendId` is our SendID, `recvId` what `offeredSendId` gave.
 * Proposals for other protocols and with other SPIs are passed over: exactly one is ever chosen.
 */
export function chooseMktProposal(
  offered: readonly Proposal[],
  terms: AcceptableMkt,
  options: {
    readonly sendId: number;
    readonly recvId: number;
    readonly exchange: MktExchange;
    /** Method of the initiator's KE payload: where we accept it, it saves the round trip of INVALID_KE_PAYLOAD. */
    readonly sentKeyExchange?: number;
  },
): Result<MktChoice & { readonly answer: Proposal }, NegotiationFailure> {
  const eligible = offered.filter((proposal) => isMktProposal(proposal) && proposal.spi[0] === options.recvId);
  for (const wanted of candidates(terms, options.exchange, options.sentKeyExchange)) {
    for (const proposal of eligible) {
      const transforms = selectTransforms(proposal, wanted);
      if (transforms === undefined) continue;
      const answer = mktProposal(proposal.number, options.sendId, transforms);
      return { ok: true, value: { ...choiceOf(options.recvId, wanted), answer } };
    }
  }
  return refused("no TCP_AO proposal that both ends accept");
}

/** The initiator's check of the responder's choice; its SPI is the responder's SendID, our RecvID. */
export function checkMktAnswer(offered: readonly Proposal[], answer: SaPayload): Result<MktChoice, NegotiationFailure> {
  const accepted = acceptedProposal(offered, answer);
  if (!accepted.ok) return accepted;
  const one = (type: number): number | undefined =>
    accepted.value.transforms.find((candidate) => candidate.type === type)?.id;
  const recvId = accepted.value.spi[0];
  const integrity = one(TransformType.INTEG);
  const tcpOptions = one(TransformType.TCP_OPT);
  if (recvId === undefined || integrity === undefined || tcpOptions === undefined) {
    return invalid("the answer lacks the SPI, INTEG or TCP_OPT");
  }
  const keyExchange = one(TransformType.KE) ?? KeyExchangeMethod.NONE;
  return { ok: true, value: choiceOf(recvId, { integrity, tcpOptions, keyExchange }) };
}

interface WantedMkt {
  readonly integrity: number;
  readonly tcpOptions: number;
  /** NONE: no PFS. */
  readonly keyExchange: number;
}

function isMktProposal(proposal: Proposal): boolean {
  return (
    proposal.protocolId === SecurityProtocolId.TCP_AO && proposal.spi.length === 1 && hasOnlyTypes(proposal, knownTypes)
  );
}

function mktProposal(number: number, sendId: number, transforms: readonly Transform[]): Proposal {
  return { number, protocolId: SecurityProtocolId.TCP_AO, spi: Uint8Array.of(sendId), transforms };
}

/** Everything that we accept, best first; only algorithms for which TCP-AO has a key length. */
function* candidates(
  terms: AcceptableMkt,
  exchange: MktExchange,
  sentKeyExchange: number | undefined,
): Generator<WantedMkt> {
  const methods = acceptableMethods(terms, exchange);
  const ordered = methods.toSorted((a, b) => Number(b === sentKeyExchange) - Number(a === sentKeyExchange));
  for (const integrity of terms.integrity.filter((id) => tcpAoMasterKeyLength(id) !== undefined)) {
    for (const tcpOptions of terms.tcpOptions) {
      for (const keyExchange of ordered) yield { integrity, tcpOptions, keyExchange };
    }
  }
}

function acceptableMethods(terms: AcceptableMkt, exchange: MktExchange): readonly number[] {
  // RFC 7296 section 1.2: SA payloads in IKE_AUTH cannot contain KE with any value other than NONE
  return exchange === "IKE_AUTH" || terms.keyExchange.length === 0 ? [KeyExchangeMethod.NONE] : terms.keyExchange;
}

function selectTransforms(proposal: Proposal, wanted: WantedMkt): readonly Transform[] | undefined {
  const integrity = findPlain(proposal, TransformType.INTEG, wanted.integrity);
  const tcpOptions = findPlain(proposal, TransformType.TCP_OPT, wanted.tcpOptions);
  const keyExchange = findOrNone(proposal, TransformType.KE, wanted.keyExchange);
  if (integrity === undefined || tcpOptions === undefined || keyExchange === undefined) return undefined;
  return present(integrity, tcpOptions, keyExchange);
}

function choiceOf(recvId: number, wanted: WantedMkt): MktChoice {
  const { integrity, tcpOptions, keyExchange } = wanted;
  const choice = { recvId, integrity, tcpOptions };
  return keyExchange === KeyExchangeMethod.NONE ? choice : { ...choice, keyExchange };
}
