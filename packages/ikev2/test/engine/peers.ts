/** Configurations for tests: two routers that mirror each other. */
import { generateKeyPairSync } from "node:crypto";
import { loadSigningKey } from "../../node/signingKey.ts";
import {
  EncryptionAlgorithm,
  type IkePeer,
  type IkeSuite,
  IntegrityAlgorithm,
  KeyExchangeMethod,
  type MktTerms,
  mktSelectors,
  PseudorandomFunction,
  parseAddress,
  parseIdentity,
  Secret,
  type SigningKey,
  type UdpAddress,
  utf8Encode,
} from "../../src/index.ts";

export type End = "a" | "b";

export const addresses: Readonly<Record<End, UdpAddress>> = {
  a: { address: "10.0.0.1", port: 500 },
  b: { address: "10.0.0.2", port: 500 },
};

export const identities = { a: identity("a.example.net"), b: identity("b.example.net") } as const;

export const aesGcm: IkeSuite = {
  encryption: [{ id: EncryptionAlgorithm.ENCR_AES_GCM_16, keyLengthBits: 128 }],
  integrity: [],
  prf: [PseudorandomFunction.PRF_HMAC_SHA2_256],
  keyExchange: [KeyExchangeMethod.CURVE25519, KeyExchangeMethod.ECP_256],
};

export function otherEnd(end: End): End {
  return end === "a" ? "b" : "a";
}

export function identity(text: string): IkePeer["localIdentity"] {
  const parsed = parseIdentity(text);
  if (parsed === undefined) throw new Error(`no identity: ${text}`);
  return parsed;
}

export function psk(text = "0123456789abcdef0123456789abcdef"): { readonly kind: "psk"; readonly secret: Secret } {
  return { kind: "psk", secret: new Secret(utf8Encode(text)) };
}

/** The peer as the router `end` configures it; its name there is that of the other end. */
export function peerOf(end: End, changes: Partial<IkePeer> = {}): IkePeer {
  const other = otherEnd(end);
  return {
    name: other,
    localIdentity: identities[end],
    remoteIdentity: identities[other],
    local: addresses[end],
    remote: addresses[other],
    localAuthentication: psk(),
    remoteAuthentication: psk(),
    suites: [aesGcm],
    rekeyAfterSeconds: 8 * 3600,
    reauthenticateAfterSeconds: 90 * 86_400,
    livenessAfterSeconds: 30 * 60,
    ...changes,
  };
}

const octetsOf = (address: string): Uint8Array => parseAddress(address) ?? new Uint8Array(4);

/** BGP between the two routers, as `end` sees it. */
export function termsOf(end: End, changes: Partial<MktTerms> = {}): MktTerms {
  const other = otherEnd(end);
  return {
    integrity: [IntegrityAlgorithm.AUTH_AES_CMAC_96, IntegrityAlgorithm.AUTH_HMAC_SHA1_96],
    tcpOptions: [1],
    keyExchange: [],
    ...mktSelectors(octetsOf(addresses[end].address), octetsOf(addresses[other].address), 179),
    ...changes,
  };
}

export function ed25519Key(): SigningKey {
  return loadSigningKey(generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }).toString());
}

export function ecdsaKey(namedCurve: "P-256" | "P-384"): SigningKey {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve });
  return loadSigningKey(privateKey.export({ format: "pem", type: "pkcs8" }).toString());
}
