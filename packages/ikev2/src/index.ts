/** IKEv2 (RFC 7296) as a state machine without I/O, with TCP-AO master key tuples as Child SAs. */

export { equalBytes, equalConstantTime } from "./bytes/bytes.ts";
export * from "./bytes/errors.ts";
export { escapeText } from "./bytes/escapeText.ts";
export { hex, unhex } from "./bytes/hex.ts";
export { Secret } from "./bytes/secret.ts";
export { utf8Decode, utf8Encode } from "./bytes/utf8.ts";
export { decodeMessage, decodePayloads, encodeMessage, encodePayloads } from "./codec/codec.ts";
export { describeMessage, describePayloads } from "./codec/describe.ts";
export type * from "./codec/message.ts";
export type { KeyLifetime } from "./codec/notifies/keyLifetime.ts";
export type { TrafficSelector } from "./codec/trafficSelector.ts";
export type * from "./crypto/provider.ts";
export { algorithmIdentifierOf } from "./crypto/signature.ts";
export { type CipherSuite, resolveSuite, type SuiteTransforms } from "./crypto/suite.ts";
export { isSameCredential } from "./engine/configure.ts";
export type { EngineCounters } from "./engine/counters.ts";
export { IkeEndpoint } from "./engine/endpoint.ts";
export type * from "./engine/machine.ts";
export {
  encodeSaInitProbe,
  newSaInitProbe,
  readSaInitProbeAnswer,
  type SaInitProbe,
  type SaInitProbeAnswer,
} from "./engine/saInitProbe.ts";
export { defaultSettings, type EngineSettings } from "./engine/settings.ts";
export type { IkeSaView } from "./engine/view.ts";
export * from "./policy/address.ts";
export { equalIdentities, formatIdentity, identityKey, parseIdentity } from "./policy/identity.ts";
export * from "./policy/keyIdBitmap.ts";
export { estimatePskStrength, minimumPskBits, type PskStrength } from "./policy/pskStrength.ts";
export * from "./policy/trafficSelectors.ts";
export { AuthenticationMethod } from "./registry/authenticationMethod.ts";
export { CertificateEncoding } from "./registry/certificateEncoding.ts";
export { EncryptionAlgorithm } from "./registry/encryptionAlgorithm.ts";
export { ExchangeType } from "./registry/exchangeType.ts";
export { HashAlgorithm } from "./registry/hashAlgorithm.ts";
export { IdType } from "./registry/idType.ts";
export { IntegrityAlgorithm } from "./registry/integrityAlgorithm.ts";
export { KeyExchangeMethod } from "./registry/keyExchangeMethod.ts";
export { KeyState } from "./registry/keyState.ts";
export { nameOf } from "./registry/nameOf.ts";
export { NotifyType } from "./registry/notifyType.ts";
export { PayloadType } from "./registry/payloadType.ts";
export { PseudorandomFunction } from "./registry/pseudorandomFunction.ts";
export { SecurityProtocolId } from "./registry/securityProtocolId.ts";
export { TcpOptions } from "./registry/tcpOptions.ts";
export { TrafficSelectorType } from "./registry/trafficSelectorType.ts";
export { TransformAttributeType } from "./registry/transformAttributeType.ts";
export { TransformType } from "./registry/transformType.ts";
