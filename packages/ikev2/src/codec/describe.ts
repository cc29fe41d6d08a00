import { hex } from "../bytes/hex.ts";
import { AuthenticationMethod } from "../registry/authenticationMethod.ts";
import { CertificateEncoding } from "../registry/certificateEncoding.ts";
import { EncryptionAlgorithm } from "../registry/encryptionAlgorithm.ts";
import { ExchangeType } from "../registry/exchangeType.ts";
import { IdType } from "../registry/idType.ts";
import { IntegrityAlgorithm } from "../registry/integrityAlgorithm.ts";
import { KeyExchangeMethod } from "../registry/keyExchangeMethod.ts";
import { KeyWrapAlgorithm } from "../registry/keyWrapAlgorithm.ts";
import { nameOf } from "../registry/nameOf.ts";
import { NotifyType } from "../registry/notifyType.ts";
import { PayloadType } from "../registry/payloadType.ts";
import { PseudorandomFunction } from "../registry/pseudorandomFunction.ts";
import { SecurityProtocolId } from "../registry/securityProtocolId.ts";
import { SequenceNumbers } from "../registry/sequenceNumbers.ts";
import { TcpOptions } from "../registry/tcpOptions.ts";
import { TransformAttributeType } from "../registry/transformAttributeType.ts";
import { TransformType } from "../registry/transformType.ts";
import type { Message, Payload, Proposal, Transform } from "./message.ts";

/**
 * One line for logs, close to the RFC's notation: "CREATE_CHILD_SA request 2 SK { N(REKEY_SA), SA(…), Nonce }". Names,
 * numbers, SPIs and sizes only: no keys, nonces, identities or data of the peer. `inner`: the payloads of SK, once open.
 */
export function describeMessage(message: Message, inner?: readonly Payload[]): string {
  const { header, payloads, encrypted } = message;
  const direction = header.isResponse ? "response" : "request";
  const start = `${nameOf(ExchangeType, header.exchangeType)} ${direction} ${header.messageId}`;
  const outer = payloads.length > 0 || encrypted === undefined ? [`{ ${describePayloads(payloads)} }`] : [];
  return [start, ...outer, ...(encrypted === undefined ? [] : [describeEncrypted(encrypted.body, inner)])].join(" ");
}

export function describePayloads(payloads: readonly Payload[]): string {
  return payloads.map(describePayload).join(", ");
}

/** "1: TCP_AO 3d, INTEG AUTH_AES_CMAC_96, TCP_OPT PROTECTED". */
export function describeProposal(proposal: Proposal): string {
  const spi = proposal.spi.length > 0 ? ` ${hex(proposal.spi)}` : "";
  const head = `${proposal.number}: ${nameOf(SecurityProtocolId, proposal.protocolId)}${spi}`;
  return [head, ...proposal.transforms.map(describeTransform)].join(", ");
}

function describeEncrypted(body: Uint8Array, inner: readonly Payload[] | undefined): string {
  if (inner === undefined) {
    return `SK(${body.length} octets)`;
  }
  return inner.length === 0 ? "SK {}" : `SK { ${describePayloads(inner)} }`;
}

function describePayload(payload: Payload): string {
  switch (payload.kind) {
    case "SA":
      return `SA(${payload.proposals.map(describeProposal).join("; ")})`;
    case "KE":
      return `KE(${nameOf(KeyExchangeMethod, payload.method)})`;
    case "IDi":
    case "IDr":
      return `${payload.kind}(${nameOf(IdType, payload.idType)})`;
    case "CERT":
    case "CERTREQ":
      return `${payload.kind}(${nameOf(CertificateEncoding, payload.encoding)})`;
    case "AUTH":
      return `AUTH(${nameOf(AuthenticationMethod, payload.method)})`;
    case "N":
      return `N(${nameOf(NotifyType, payload.notifyType)}${describeSa(payload.protocolId, [payload.spi])})`;
    case "D":
      return `D(${nameOf(SecurityProtocolId, payload.protocolId)}${payload.spis.map((spi) => ` ${hex(spi)}`).join("")})`;
    case "TSi":
    case "TSr":
      return `${payload.kind}(${payload.selectors.length})`;
    case "Nonce":
    case "V":
    case "CP":
    case "EAP":
      return payload.kind;
    case "Unknown":
      return `${nameOf(PayloadType, payload.payloadType)}${payload.critical ? "!" : ""}`;
  }
}

function describeSa(protocolId: number, spis: readonly Uint8Array[]): string {
  const texts = spis.filter((spi) => spi.length > 0).map(hex);
  return texts.length === 0 ? "" : ` ${nameOf(SecurityProtocolId, protocolId)} ${texts.join(" ")}`;
}

const transformIds: ReadonlyMap<number, Readonly<Record<string, number>>> = new Map<number, Record<string, number>>([
  [TransformType.ENCR, EncryptionAlgorithm],
  [TransformType.PRF, PseudorandomFunction],
  [TransformType.INTEG, IntegrityAlgorithm],
  [TransformType.KE, KeyExchangeMethod],
  [TransformType.SN, SequenceNumbers],
  [TransformType.KWA, KeyWrapAlgorithm],
  [TransformType.TCP_OPT, TcpOptions],
]);

function describeTransform(transform: Transform): string {
  const type = nameOf(TransformType, transform.type);
  const id = nameOf(transformIds.get(transform.type) ?? {}, transform.id);
  const keyLength = transform.attributes.find(({ type }) => type === TransformAttributeType.KEY_LENGTH);
  return `${type} ${id}${keyLength?.kind === "TV" ? `-${keyLength.value}` : ""}`;
}
