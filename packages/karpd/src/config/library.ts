/** What the configuration needs of the IKEv2 library, in one place. */
export {
  canonicalAddress,
  isLinkLocal,
  isMulticast,
  isUnspecified,
  parseAddress,
} from "../../../ikev2/src/policy/address.ts";
export { equalIdentities, formatIdentity, identityKey, parseIdentity } from "../../../ikev2/src/policy/identity.ts";
export { estimatePskStrength } from "../../../ikev2/src/policy/pskStrength.ts";
export { EncryptionAlgorithm } from "../../../ikev2/src/registry/encryptionAlgorithm.ts";
export { IdType } from "../../../ikev2/src/registry/idType.ts";
export { IntegrityAlgorithm } from "../../../ikev2/src/registry/integrityAlgorithm.ts";
export { KeyExchangeMethod } from "../../../ikev2/src/registry/keyExchangeMethod.ts";
export { PseudorandomFunction } from "../../../ikev2/src/registry/pseudorandomFunction.ts";
