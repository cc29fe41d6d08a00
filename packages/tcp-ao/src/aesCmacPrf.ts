import type { TcpAoCrypto } from "./crypto.ts";

const KEY_BYTES = 16;

/**
 * AES-CMAC-PRF-128 (RFC 4615 section 3): AES-CMAC with a key of any length. RFC 5926 section 3.1.1.2 uses it as the
 * PRF of KDF_AES_128_CMAC. 16 octets.
 */
export function aesCmacPrf128(crypto: Pick<TcpAoCrypto, "aesCmac">, key: Uint8Array, message: Uint8Array): Uint8Array {
  return crypto.aesCmac(aesCmacPrf128Key(crypto, key), message);
}

/** K of RFC 4615 section 3: the 16 octets that AES-CMAC-PRF-128 makes of a key of any length. */
export function aesCmacPrf128Key(crypto: Pick<TcpAoCrypto, "aesCmac">, key: Uint8Array): Uint8Array {
  // K := VK when it has 16 octets, else AES-CMAC(0^128, VK)
  return key.length === KEY_BYTES ? key : crypto.aesCmac(new Uint8Array(KEY_BYTES), key);
}
