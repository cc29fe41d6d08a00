import type { MktAlgorithm } from "./row.ts";

interface AlgorithmFacts {
  /** INTEG transform id that stands for it in a TCP_AO proposal. */
  readonly integrity: number;
  /** KDF field of a key table row (RFC 7210 section 8.2, RFC 5926 section 3.1). */
  readonly kdf: string;
  /** AlgID field of a key table row (RFC 7210 section 8.3). */
  readonly algId: string;
  readonly keyOctets: number;
}

/** The TCP-AO algorithms: RFC 5926 section 3.2, and HMAC-SHA-256-128 as our offered extra. */
export const mktAlgorithms: Readonly<Record<MktAlgorithm, AlgorithmFacts>> = {
  "aes-128-cmac-96": { integrity: 8, kdf: "AES-128-CMAC", algId: "AES-128-CMAC-96", keyOctets: 16 },
  "hmac-sha-1-96": { integrity: 2, kdf: "HMAC-SHA-1", algId: "HMAC-SHA-1-96", keyOctets: 20 },
  "hmac-sha-256-128": { integrity: 12, kdf: "HMAC-SHA-256", algId: "HMAC-SHA-256-128", keyOctets: 32 },
};

/** The algorithm of an INTEG transform id; undefined for one that TCP-AO does not have. */
export function algorithmOfIntegrity(integrity: number): MktAlgorithm | undefined {
  const names = Object.keys(mktAlgorithms) as readonly MktAlgorithm[];
  return names.find((name) => mktAlgorithms[name].integrity === integrity);
}
