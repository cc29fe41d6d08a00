import { type Aes128Cbc, aesCmac } from "./aesCmac.ts";
import { equalConstantTime } from "./bytes.ts";

/** The hash functions that TCP-AO uses inside HMAC. */
export type HmacHash = "sha1" | "sha256";

/** All cryptography that the core needs, synchronous. `@karp/tcp-ao/node` has one on node:crypto. */
export interface TcpAoCrypto {
  /** HMAC of RFC 2104, not truncated: 20 octets for sha1, 32 for sha256. */
  hmac(hash: HmacHash, key: Uint8Array, data: Uint8Array): Uint8Array;
  /** AES-CMAC of RFC 4493, not truncated: 16 octets; `key` has 16. */
  aesCmac(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** Without one, the core's own comparison is used. */
  equalConstantTime?(a: Uint8Array, b: Uint8Array): boolean;
}

/** What a platform must bring for {@link createTcpAoCrypto}. */
export interface CryptoPrimitives extends Aes128Cbc {
  hmac(hash: HmacHash, key: Uint8Array, data: Uint8Array): Uint8Array;
  equalConstantTime?(a: Uint8Array, b: Uint8Array): boolean;
}

/** A {@link TcpAoCrypto} from a platform's HMAC and AES-128-CBC; AES-CMAC is built here. */
export function createTcpAoCrypto(primitives: CryptoPrimitives): TcpAoCrypto {
  return {
    hmac: (hash, key, data) => primitives.hmac(hash, key, data),
    aesCmac: (key, data) => aesCmac(primitives, key, data),
    equalConstantTime: (a, b) => primitives.equalConstantTime?.(a, b) ?? equalConstantTime(a, b),
  };
}

/** Compares two MACs without telling by time where they differ. */
export function equalMac(crypto: TcpAoCrypto, a: Uint8Array, b: Uint8Array): boolean {
  return crypto.equalConstantTime?.(a, b) ?? equalConstantTime(a, b);
}
