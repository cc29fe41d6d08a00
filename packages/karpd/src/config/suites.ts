import {
  EncryptionAlgorithm,
  type IkeSuite,
  IntegrityAlgorithm,
  KeyExchangeMethod,
  PseudorandomFunction,
} from "@karp/ikev2";
import { encryptionWords, type IkeWords, keyExchangeWords, prfWords } from "./schema.ts";

/** AEADs and other ciphers stand in suites of their own (RFC 7296 section 3.3); the kind named first comes first. */
export function suitesOf(words: IkeWords): readonly IkeSuite[] {
  const encryption = words.encryption ?? encryptionWords;
  const common = {
    prf: (words.prf ?? prfWords).map((word) => prfs[word]),
    keyExchange: (words["key-exchange"] ?? keyExchangeWords).map((word) => keyExchanges[word]),
  };
  const suite = (isAead: boolean): IkeSuite => ({
    encryption: encryption.filter((word) => ciphers[word].isAead === isAead).map((word) => ciphers[word].transform),
    integrity: isAead ? [] : [IntegrityAlgorithm.AUTH_HMAC_SHA2_256_128],
    ...common,
  });
  const [first] = encryption;
  const aeadFirst = first === undefined || ciphers[first].isAead;
  return [suite(aeadFirst), suite(!aeadFirst)].filter(({ encryption: list }) => list.length > 0);
}

const { ENCR_AES_GCM_16, ENCR_AES_CBC, ENCR_CHACHA20_POLY1305 } = EncryptionAlgorithm;

const ciphers = {
  "aes-128-gcm": { isAead: true, transform: { id: ENCR_AES_GCM_16, keyLengthBits: 128 } },
  "aes-256-gcm": { isAead: true, transform: { id: ENCR_AES_GCM_16, keyLengthBits: 256 } },
  "chacha20-poly1305": { isAead: true, transform: { id: ENCR_CHACHA20_POLY1305 } },
  "aes-128-cbc": { isAead: false, transform: { id: ENCR_AES_CBC, keyLengthBits: 128 } },
  "aes-256-cbc": { isAead: false, transform: { id: ENCR_AES_CBC, keyLengthBits: 256 } },
} as const;

const prfs = {
  "hmac-sha-256": PseudorandomFunction.PRF_HMAC_SHA2_256,
  "hmac-sha-384": PseudorandomFunction.PRF_HMAC_SHA2_384,
  "hmac-sha-512": PseudorandomFunction.PRF_HMAC_SHA2_512,
} as const;

const keyExchanges = {
  x25519: KeyExchangeMethod.CURVE25519,
  "ecp-256": KeyExchangeMethod.ECP_256,
  "ecp-384": KeyExchangeMethod.ECP_384,
  "modp-2048": KeyExchangeMethod.MODP_2048,
} as const;
