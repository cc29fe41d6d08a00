import { PeerMisbehaved } from "../bytes/errors.ts";
import { nameOf } from "../registry/nameOf.ts";
import { NotifyType } from "../registry/notifyType.ts";
import { SecurityProtocolId } from "../registry/securityProtocolId.ts";
import { type MessageRule, type PayloadKind, payloadKinds } from "./exchangeRules.ts";
import type { Message, Payload, Proposal, SaPayload } from "./message.ts";

/**
 * Throws PeerMisbehaved (INVALID_SYNTAX) that names the payload and the rule. `payloads`: those inside of SK, for
 * IKE_SA_INIT those in the clear; checkProtection judges which is which.
 */
export function checkPayloads(rule: MessageRule, payloads: readonly Payload[]): void {
  const counts = countKinds(payloads);
  checkCounts(rule, counts);
  checkNotifies(rule, payloads);
  for (const [kind, needed] of rule.requires ?? []) {
    if (counts.has(kind) && !counts.has(needed)) {
      throw misbehaviour(rule, "missingPayload", `${kind} without ${needed}`);
    }
  }
  for (const payload of payloads) {
    if (payload.kind === "SA") {
      checkSa(rule, payload);
    }
  }
}

/**
 * Throws PeerMisbehaved when a message that must be encrypted is not, or the other way round, or when known payloads
 * stand before SK: there is no exchange in which they mean anything (RFC 7296 section 3.14).
 */
export function checkProtection(rule: MessageRule, message: Message): void {
  if (!rule.isEncrypted) {
    if (message.encrypted !== undefined) {
      throw misbehaviour(rule, "unexpectedPayload", "SK before there are keys");
    }
    return;
  }
  if (message.encrypted === undefined) {
    throw misbehaviour(rule, "notEncrypted", "is in the clear");
  }
  const stray = message.payloads.find((payload) => payload.kind !== "Unknown");
  if (stray !== undefined) {
    throw misbehaviour(rule, "notEncrypted", `${stray.kind} outside of SK`);
  }
}

function countKinds(payloads: readonly Payload[]): ReadonlyMap<PayloadKind, number> {
  const counts = new Map<PayloadKind, number>();
  for (const { kind } of payloads) {
    if (kind !== "N" && kind !== "V" && kind !== "Unknown") {
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
  }
  return counts;
}

function checkCounts(rule: MessageRule, counts: ReadonlyMap<PayloadKind, number>): void {
  for (const kind of payloadKinds) {
    const count = counts.get(kind) ?? 0;
    const [minimum, maximum] = rule.payloads[kind] ?? [0, 0];
    if (count < minimum) {
      throw misbehaviour(rule, "missingPayload", `${count} ${kind}, at least ${minimum} needed`);
    }
    if (count > maximum) {
      throw misbehaviour(rule, "unexpectedPayload", `${count} ${kind}, at most ${maximum} allowed`);
    }
  }
}

function checkNotifies(rule: MessageRule, payloads: readonly Payload[]): void {
  for (const { notifyType, occurrence } of rule.notifies ?? []) {
    const [minimum, maximum] = occurrence;
    const count = payloads.filter((payload) => payload.kind === "N" && payload.notifyType === notifyType).length;
    if (count < minimum || count > maximum) {
      const code = count < minimum ? "missingPayload" : "unexpectedPayload";
      throw misbehaviour(rule, code, `${count} N(${nameOf(NotifyType, notifyType)}), not ${minimum} to ${maximum}`);
    }
  }
  if (rule.needsNotify === true && !payloads.some((payload) => payload.kind === "N")) {
    throw misbehaviour(rule, "missingPayload", "no notify says why");
  }
}

function checkSa(rule: MessageRule, sa: SaPayload): void {
  if (rule.proposals === "offer" && sa.proposals[0]?.number !== 1) {
    // The first proposal MUST be number 1, RFC 7296 section 3.3.1
    throw misbehaviour(rule, "badProposal", `SA begins with proposal ${sa.proposals[0]?.number}`);
  }
  if (rule.proposals === "choice" && sa.proposals.length !== 1) {
    // The responder MUST choose a single proposal, RFC 7296 section 2.7
    throw misbehaviour(rule, "badProposal", `SA chooses ${sa.proposals.length} proposals`);
  }
  for (const proposal of sa.proposals) {
    checkProposal(rule, proposal);
  }
}

function checkProposal(rule: MessageRule, proposal: Proposal): void {
  if (rule.proposals === "choice" && hasTypeTwice(proposal)) {
    // Exactly one transform of each type is chosen, RFC 7296 section 2.7
    throw misbehaviour(rule, "badProposal", "SA chooses two transforms of one type");
  }
  const isIke = proposal.protocolId === SecurityProtocolId.IKE;
  if (rule.about === "childSa" ? isIke : !isIke) {
    const protocol = nameOf(SecurityProtocolId, proposal.protocolId);
    throw misbehaviour(rule, "badProposal", `SA is about protocol ${protocol}`);
  }
  // For an initial IKE SA the SPI Size MUST be zero, later it is 8: RFC 7296 section 3.3.1
  if (isIke && proposal.spi.length !== (rule.about === "rekeyedIkeSa" ? 8 : 0)) {
    throw misbehaviour(rule, "badProposal", `SA has an SPI of ${proposal.spi.length} octets`);
  }
}

function hasTypeTwice(proposal: Proposal): boolean {
  return new Set(proposal.transforms.map((transform) => transform.type)).size !== proposal.transforms.length;
}

function misbehaviour(rule: MessageRule, code: string, detail: string): PeerMisbehaved {
  return new PeerMisbehaved({
    code,
    section: rule.section,
    detail: `${rule.name}: ${detail}`,
    notifyType: NotifyType.INVALID_SYNTAX,
  });
}
