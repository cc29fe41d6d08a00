/** What choosing and checking have in common for all protocols, RFC 7296 section 3.3.6. */
import { equalBytes } from "../bytes/bytes.ts";
import type { Proposal, SaPayload, Transform, TransformAttribute } from "../codec/message.ts";
import { TransformType } from "../registry/transformType.ts";
import type { NegotiationFailure, Result } from "./result.ts";

/** A transform of an offer of ours. */
export function transform(type: number, id: number, attributes: readonly TransformAttribute[] = []): Transform {
  return { type, id, attributes };
}

function transformsOf(proposal: Proposal, type: number): readonly Transform[] {
  return proposal.transforms.filter((candidate) => candidate.type === type);
}

/** RFC 7296 section 3.3.6: a transform type that is not understood makes the whole proposal unacceptable. */
export function hasOnlyTypes(proposal: Proposal, types: readonly number[]): boolean {
  return proposal.transforms.every((candidate) => types.includes(candidate.type));
}

/**
 * The transform of this type with this id, to be returned unmodified. An attribute that is not understood makes only
 * its transform unacceptable (RFC 7296 section 3.3.6), and these transforms have none that could be.
 */
export function findPlain(proposal: Proposal, type: number, id: number): Transform | undefined {
  return proposal.transforms.find(
    (candidate) => candidate.type === type && candidate.id === id && candidate.attributes.length === 0,
  );
}

/**
 * The one transform of a type whose absence means the same as NONE (INTEG, KE): `none` when the type is absent,
 * undefined when the wanted id is not offered.
 */
export function findOrNone(proposal: Proposal, type: number, id: number): Transform | "none" | undefined {
  const found = findPlain(proposal, type, id);
  return found === undefined && id === 0 && transformsOf(proposal, type).length === 0 ? "none" : found;
}

/** Leaves out what stands for an absent transform. */
export function present(...transforms: readonly (Transform | "none")[]): readonly Transform[] {
  return transforms.filter((candidate) => candidate !== "none");
}

/**
 * RFC 7296 section 3.3.6: the initiator MUST check that the accepted offer is consistent with one of its proposals.
 * Returns the accepted proposal, in which each transform type occurs once at most.
 */
export function acceptedProposal(
  offered: readonly Proposal[],
  answer: SaPayload,
): Result<Proposal, NegotiationFailure> {
  const [accepted] = answer.proposals;
  if (accepted === undefined || answer.proposals.length !== 1) {
    return invalid(`the answer holds ${answer.proposals.length} proposals instead of one`);
  }
  const offer = offered.find((proposal) => proposal.number === accepted.number);
  if (offer === undefined) return invalid(`proposal ${accepted.number} was not offered`);
  if (offer.protocolId !== accepted.protocolId) return invalid(`protocol ${accepted.protocolId} was not offered`);
  if (offer.spi.length !== accepted.spi.length) return invalid(`an SPI of ${accepted.spi.length} octets`);
  const stray = accepted.transforms.find((candidate) => !isWithin(candidate, offer));
  if (stray !== undefined) return invalid(`transform ${stray.id} of type ${stray.type} was not offered`);
  const wrong = typesOf(offer).find((type) => !isAnsweredOnce(accepted, offer, type));
  return wrong === undefined
    ? { ok: true, value: accepted }
    : invalid(`not exactly one transform of type ${wrong} was chosen`);
}

export function invalid(detail: string): { readonly ok: false; readonly error: NegotiationFailure } {
  return { ok: false, error: { reason: "invalidAnswer", detail } };
}

export function refused(detail: string): { readonly ok: false; readonly error: NegotiationFailure } {
  return { ok: false, error: { reason: "noProposalChosen", detail } };
}

function isWithin(chosen: Transform, offer: Proposal): boolean {
  if (isNone(chosen) && transformsOf(offer, chosen.type).length === 0) return true;
  return offer.transforms.some(
    (candidate) => candidate.type === chosen.type && candidate.id === chosen.id && equalAttributes(candidate, chosen),
  );
}

function isAnsweredOnce(accepted: Proposal, offer: Proposal, type: number): boolean {
  const count = transformsOf(accepted, type).length;
  return count === 1 || (count === 0 && transformsOf(offer, type).some(isNone));
}

/** INTEG and KE have the id NONE, which says the same as no transform (RFC 7296 sections 3.3.2 and 3.3.3). */
function isNone(candidate: Transform): boolean {
  return candidate.id === 0 && (candidate.type === TransformType.INTEG || candidate.type === TransformType.KE);
}

function typesOf(proposal: Proposal): readonly number[] {
  return [...new Set(proposal.transforms.map((candidate) => candidate.type))];
}

/** RFC 7296 section 3.3.6: attributes of a selected transform MUST be returned unmodified. */
function equalAttributes(a: Transform, b: Transform): boolean {
  return (
    a.attributes.length === b.attributes.length &&
    a.attributes.every((attribute, index) => {
      const other = b.attributes[index];
      return other !== undefined && equalAttribute(attribute, other);
    })
  );
}

function equalAttribute(a: TransformAttribute, b: TransformAttribute): boolean {
  if (a.type !== b.type) return false;
  if (a.kind === "TV") return b.kind === "TV" && a.value === b.value;
  return b.kind === "TLV" && equalBytes(a.data, b.data);
}
