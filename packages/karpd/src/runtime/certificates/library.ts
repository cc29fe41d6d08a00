/** What certificates need of the IKEv2 library, in one place. */
export { equalBytes } from "../../../../ikev2/src/bytes/bytes.ts";
export { escapeText } from "../../../../ikev2/src/bytes/escapeText.ts";
export { utf8Decode, utf8Encode } from "../../../../ikev2/src/bytes/utf8.ts";
export { algorithmIdentifierOf } from "../../../../ikev2/src/crypto/signature.ts";
export { formatAddress } from "../../../../ikev2/src/policy/address.ts";
export { equalIdentities, formatIdentity } from "../../../../ikev2/src/policy/identity.ts";
export { IdType } from "../../../../ikev2/src/registry/idType.ts";
