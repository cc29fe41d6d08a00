/** MAC algorithms of a master key tuple: RFC 5926 section 3.2, and HMAC-SHA-256 as widely deployed beside it. */
export type MacAlgorithm = "hmac-sha-1-96" | "aes-128-cmac-96" | "hmac-sha-256-128";

/** The key derivation function that belongs to a MAC algorithm (RFC 5926 section 3.1.1). */
export type KeyDerivationFunction = "KDF_HMAC_SHA1" | "KDF_AES_128_CMAC" | "KDF_HMAC_SHA256";

export interface MacAlgorithmParameters {
  readonly name: MacAlgorithm;
  /** The name as standards print it. */
  readonly title: string;
  readonly kdf: KeyDerivationFunction;
  /** Length of a negotiated or generated master key. Manual keys may have any length (RFC 5926 section 3.1). */
  readonly masterKeyBits: number;
  /** Key_Length of the traffic key: the KDF's Output_Length. */
  readonly trafficKeyBits: number;
  /** MAC_Length, in octets. */
  readonly macLengthBytes: number;
  /** Length field of the TCP-AO option: Kind, Length, KeyID, RNextKeyID and MAC (RFC 5925 section 2.2). */
  readonly optionLengthBytes: number;
}

/** Kind, Length, KeyID and RNextKeyID. */
const OPTION_OVERHEAD_BYTES = 4;

export const macAlgorithms: Readonly<Record<MacAlgorithm, MacAlgorithmParameters>> = {
  // RFC 5926 section 3.2.1
  "hmac-sha-1-96": {
    name: "hmac-sha-1-96",
    title: "HMAC-SHA-1-96",
    kdf: "KDF_HMAC_SHA1",
    masterKeyBits: 160,
    trafficKeyBits: 160,
    macLengthBytes: 12,
    optionLengthBytes: OPTION_OVERHEAD_BYTES + 12,
  },
  // RFC 5926 section 3.2.2
  "aes-128-cmac-96": {
    name: "aes-128-cmac-96",
    title: "AES-128-CMAC-96",
    kdf: "KDF_AES_128_CMAC",
    masterKeyBits: 128,
    trafficKeyBits: 128,
    macLengthBytes: 12,
    optionLengthBytes: OPTION_OVERHEAD_BYTES + 12,
  },
  // The construction of RFC 5926 section 3.1.1 with SHA-256; truncation as RFC 4868 section 2.1
  "hmac-sha-256-128": {
    name: "hmac-sha-256-128",
    title: "HMAC-SHA-256-128",
    kdf: "KDF_HMAC_SHA256",
    masterKeyBits: 256,
    trafficKeyBits: 256,
    macLengthBytes: 16,
    optionLengthBytes: OPTION_OVERHEAD_BYTES + 16,
  },
};

/** Whether `name` is one of the {@link macAlgorithms}. */
export function isMacAlgorithm(name: string): name is MacAlgorithm {
  return Object.hasOwn(macAlgorithms, name);
}
