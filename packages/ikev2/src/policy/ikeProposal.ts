/** Proposals of IKE SAs, RFC 7296 sections 3.3.3 and 3.3.6, RFC 5282 section 8. */
import type { Proposal, SaPayload, Transform } from "../codec/message.ts";
import { type CipherSuite, isAead, resolveSuite, type SuiteTransforms } from "../crypto/suite.ts";
import { IntegrityAlgorithm } from "../registry/integrityAlgorithm.ts";
import { SecurityProtocolId } from "../registry/securityProtocolId.ts";
import { TransformAttributeType } from "../registry/transformAttributeType.ts";
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

/** What an end accepts, lists in order of preference, numbers from the registry. */
export interface AcceptableSuite {
  readonly encryption: readonly { readonly id: number; readonly keyLengthBits?: number }[];
  readonly integrity: readonly number[];
  readonly prf: readonly number[];
  readonly keyExchange: readonly number[];
}

export interface IkeChoice {
  readonly suite: CipherSuite;
  /** The sender's SPI when an IKE SA is rekeyed; undefined in IKE_SA_INIT. */
  readonly peerSpi?: bigint;
}

const knownTypes: readonly number[] = [TransformType.ENCR, TransformType.PRF, TransformType.INTEG, TransformType.KE];

/**
 * Our offer. `spi` is our SPI of the new IKE SA when an old one is rekeyed, absent in IKE_SA_INIT. AEADs and other
 * ciphers go into proposals of their own (RFC 7296 section 3.3).
 */
export function buildIkeProposals(suites: readonly AcceptableSuite[], spi?: bigint): readonly Proposal[] {
  const lists = suites.flatMap((suite) => [combinedTransforms(suite), separateTransforms(suite)]);
  return lists
    .filter((transforms) => transforms.length > 0)
    .map((transforms, index) => ikeProposal(index + 1, transforms, spi));
}

/**
 * The responder's choice in its own order of preference. `spi` as in the answer: ours when rekeying. `sentKeyExchange`
 * is the method of the initiator's KE payload: where we accept it, it saves the round trip of INVALID_KE_PAYLOAD.
 */
export function chooseIkeProposal(
  offered: readonly Proposal[],
  suites: readonly AcceptableSuite[],
  options: { readonly spi?: bigint; readonly sentKeyExchange?: number } = {},
): Result<IkeChoice & { readonly answer: Proposal }, NegotiationFailure> {
  const spiLength = options.spi === undefined ? 0 : 8;
  const known = acceptableKeys(suites);
  const eligible = offered
    .filter(
      (proposal) =>
        proposal.protocolId === SecurityProtocolId.IKE &&
        proposal.spi.length === spiLength &&
        peerSpiOf(proposal).peerSpi !== 0n &&
        hasOnlyTypes(proposal, knownTypes),
    )
    .map((proposal) => withoutStrangers(proposal, known));
  for (const wanted of candidates(suites, options.sentKeyExchange)) {
    for (const proposal of eligible) {
      const transforms = selectTransforms(proposal, wanted);
      const suite = transforms === undefined ? undefined : resolveSuite(wanted);
      if (transforms === undefined || suite === undefined) continue;
      const answer = ikeProposal(proposal.number, transforms, options.spi);
      return { ok: true, value: { suite, answer, ...peerSpiOf(proposal) } };
    }
  }
  return refused("no IKE proposal that both ends accept");
}

/** The initiator's check of the responder's choice; what comes back is the suite to use. */
export function checkIkeAnswer(offered: readonly Proposal[], answer: SaPayload): Result<IkeChoice, NegotiationFailure> {
  const accepted = acceptedProposal(offered, answer);
  if (!accepted.ok) return accepted;
  const suite = suiteOf(accepted.value);
  if (suite === undefined) return invalid("the chosen transforms do not make a suite");
  const spi = peerSpiOf(accepted.value);
  // RFC 7296 section 3.1: an SPI of zero is none
  return spi.peerSpi === 0n ? invalid("the SPI is zero") : { ok: true, value: { suite, ...spi } };
}

/** AEADs: RFC 7296 section 3.3 wants them without an integrity algorithm. */
function combinedTransforms(suite: AcceptableSuite): readonly Transform[] {
  const encryption = suite.encryption.filter(({ id }) => isAead(id));
  return encryption.length === 0 ? [] : [...encryption.map(encryptionTransform), ...commonTransforms(suite)];
}

function separateTransforms(suite: AcceptableSuite): readonly Transform[] {
  const encryption = suite.encryption.filter(({ id }) => !isAead(id));
  const integrity = suite.integrity.filter((id) => id !== IntegrityAlgorithm.NONE);
  if (encryption.length === 0 || integrity.length === 0) return [];
  return [
    ...encryption.map(encryptionTransform),
    ...integrity.map((id) => transform(TransformType.INTEG, id)),
    ...commonTransforms(suite),
  ];
}

function commonTransforms(suite: AcceptableSuite): readonly Transform[] {
  return [
    ...suite.prf.map((id) => transform(TransformType.PRF, id)),
    ...suite.keyExchange.map((id) => transform(TransformType.KE, id)),
  ];
}

function encryptionTransform(encryption: SuiteTransforms["encryption"]): Transform {
  const { id, keyLengthBits } = encryption;
  if (keyLengthBits === undefined) return transform(TransformType.ENCR, id);
  return transform(TransformType.ENCR, id, [
    { kind: "TV", type: TransformAttributeType.KEY_LENGTH, value: keyLengthBits },
  ]);
}

function ikeProposal(number: number, transforms: readonly Transform[], spi: bigint | undefined): Proposal {
  return { number, protocolId: SecurityProtocolId.IKE, spi: spiOctets(spi), transforms };
}

function spiOctets(spi: bigint | undefined): Uint8Array {
  if (spi === undefined) return new Uint8Array(0);
  const octets = new Uint8Array(8);
  new DataView(octets.buffer).setBigUint64(0, spi);
  return octets;
}

function peerSpiOf(proposal: Proposal): { readonly peerSpi?: bigint } {
  const { spi } = proposal;
  if (spi.length !== 8) return {};
  return { peerSpi: new DataView(spi.buffer, spi.byteOffset, spi.length).getBigUint64(0) };
}

/** Names of all transforms that we accept. */
function acceptableKeys(suites: readonly AcceptableSuite[]): ReadonlySet<string> {
  const lists = suites.flatMap((suite) => [
    ...suite.encryption.map(encryptionTransform),
    ...suite.integrity.map((id) => transform(TransformType.INTEG, id)),
    ...commonTransforms(suite),
  ]);
  return new Set([...lists, transform(TransformType.INTEG, IntegrityAlgorithm.NONE)].map(keyOf));
}

/**
 * The proposal without what we would not choose anyway, and nothing twice: what choosing costs depends on our own lists
 * then, not on how many transforms anybody sends. One INTEG stays, as its absence has a meaning.
 */
function withoutStrangers(proposal: Proposal, known: ReadonlySet<string>): Proposal {
  const kept = new Map<string, Transform>();
  for (const candidate of proposal.transforms) {
    const key = keyOf(candidate);
    if (known.has(key) && !kept.has(key)) kept.set(key, candidate);
    else if (candidate.type === TransformType.INTEG && !kept.has("INTEG")) kept.set("INTEG", candidate);
  }
  return { ...proposal, transforms: [...kept.values()] };
}

/** Equal for transforms that are the same; a transform with attributes that we do not know has a name of its own. */
function keyOf({ type, id, attributes }: Transform): string {
  const [attribute, ...others] = attributes;
  if (attribute === undefined) return `${type} ${id}`;
  const isKeyLength = attribute.kind === "TV" && attribute.type === TransformAttributeType.KEY_LENGTH;
  return isKeyLength && others.length === 0 ? `${type} ${id} ${attribute.value}` : "strange";
}

/** Every suite that we accept, best first. */
function* candidates(
  suites: readonly AcceptableSuite[],
  sentKeyExchange: number | undefined,
): Generator<SuiteTransforms> {
  for (const suite of suites) {
    const methods = suite.keyExchange.toSorted((a, b) => Number(b === sentKeyExchange) - Number(a === sentKeyExchange));
    for (const encryption of suite.encryption) {
      const integrities = isAead(encryption.id) ? [IntegrityAlgorithm.NONE] : suite.integrity;
      for (const [integrity, prf, keyExchange] of combinations(integrities, suite.prf, methods)) {
        yield { encryption, integrity, prf, keyExchange };
      }
    }
  }
}

function* combinations(
  first: readonly number[],
  second: readonly number[],
  third: readonly number[],
): Generator<readonly [number, number, number]> {
  for (const a of first) for (const b of second) for (const c of third) yield [a, b, c];
}

/** Exactly one transform of each type of the proposal, as they stand there, or undefined when one is not offered. */
function selectTransforms(proposal: Proposal, wanted: SuiteTransforms): readonly Transform[] | undefined {
  const encryption = findEncryption(proposal, wanted.encryption);
  const prf = findPlain(proposal, TransformType.PRF, wanted.prf);
  const integrity = findOrNone(proposal, TransformType.INTEG, wanted.integrity ?? IntegrityAlgorithm.NONE);
  const keyExchange = findPlain(proposal, TransformType.KE, wanted.keyExchange);
  if (encryption === undefined || prf === undefined || integrity === undefined || keyExchange === undefined) {
    return undefined;
  }
  return present(encryption, prf, integrity, keyExchange);
}

/**
 * RFC 7296 section 3.3.5: the Key Length attribute MUST be there for ciphers with several key sizes and MUST NOT for
 * the others; a second attribute of the same type is not allowed, any other attribute not understood.
 */
function findEncryption(proposal: Proposal, wanted: SuiteTransforms["encryption"]): Transform | undefined {
  return proposal.transforms.find((candidate) => {
    if (candidate.type !== TransformType.ENCR || candidate.id !== wanted.id) return false;
    const keyLength = keyLengthOf(candidate);
    return keyLength !== "unusable" && keyLength === wanted.keyLengthBits;
  });
}

function keyLengthOf(candidate: Transform): number | undefined | "unusable" {
  const [attribute, ...others] = candidate.attributes;
  if (attribute === undefined) return undefined;
  return others.length === 0 && attribute.kind === "TV" && attribute.type === TransformAttributeType.KEY_LENGTH
    ? attribute.value
    : "unusable";
}

function suiteOf(accepted: Proposal): CipherSuite | undefined {
  const one = (type: number): Transform | undefined => accepted.transforms.find((candidate) => candidate.type === type);
  const encryption = one(TransformType.ENCR);
  const prf = one(TransformType.PRF);
  const keyExchange = one(TransformType.KE);
  if (encryption === undefined || prf === undefined || keyExchange === undefined) return undefined;
  const keyLengthBits = keyLengthOf(encryption);
  if (keyLengthBits === "unusable") return undefined;
  return resolveSuite({
    encryption: keyLengthBits === undefined ? { id: encryption.id } : { id: encryption.id, keyLengthBits },
    integrity: one(TransformType.INTEG)?.id ?? IntegrityAlgorithm.NONE,
    prf: prf.id,
    keyExchange: keyExchange.id,
  });
}
