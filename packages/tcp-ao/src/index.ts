export { type Aes128Cbc, aesCmac } from "./aesCmac.ts";
export { aesCmacPrf128Key } from "./aesCmacPrf.ts";
export {
  isMacAlgorithm,
  type KeyDerivationFunction,
  type MacAlgorithm,
  type MacAlgorithmParameters,
  macAlgorithms,
} from "./algorithms.ts";
export { buildSegment, type SegmentFields } from "./buildSegment.ts";
export type { ConnectionStatus, ReceivedKeyIds, TcpAoConnection } from "./connection.ts";
export {
  type AddressPattern,
  type ConnectionIdentifier,
  type ConnectionPattern,
  identifiersOverlap,
  matchesConnection,
  type PortPattern,
  peering,
  type SocketPair,
} from "./connectionIdentifier.ts";
export type { KeyCounters, TcpAoCounters } from "./counters.ts";
export { type CryptoPrimitives, createTcpAoCrypto, type HmacHash, type TcpAoCrypto } from "./crypto.ts";
export { type EndpointOptions, type OpenConnection, type Replacement, TcpAoEndpoint } from "./endpoint.ts";
export {
  type SegmentRefusal,
  type SegmentRefusalCode,
  TcpAoUsageError,
  type TcpAoUsageErrorCode,
} from "./errors.ts";
export { formatAddress, parseAddress } from "./ipAddress.ts";
export { computeMac, macInput, type SegmentKey } from "./mac.ts";
export type { MasterKeyTuple, Mkt, MktIds } from "./mkt.ts";
export type { Authenticated, Discarded, Unauthenticated, Verdict } from "./receive.ts";
export type { Result } from "./result.ts";
export { hasValidTcpChecksum, parseSegment, type TcpAoOption, type TcpSegment } from "./segment.ts";
export type { Outgoing } from "./send.ts";
export { SequenceNumberExtension } from "./sequenceNumberExtension.ts";
export { type SignSegmentInput, signSegment } from "./signSegment.ts";
export { withoutTcpAoOption } from "./tcpAoOption.ts";
export { deriveTrafficKey, kdfContext, type TrafficKeyContext } from "./trafficKey.ts";
export { type VerifiedSegment, type VerifySegmentInput, verifySegment } from "./verifySegment.ts";
