import type { CryptoProvider, Secret } from "@karp/ikev2";
import { hex } from "@karp/ikev2";

/** "karp mkt" | 0x00 */
const label = Uint8Array.of(0x6b, 0x61, 0x72, 0x70, 0x20, 0x6d, 0x6b, 0x74, 0x00);

/** What may be shown of a master key: the first 8 octets of SHA-256("karp mkt" | 0x00 | key), in hex. */
export function keyFingerprint(crypto: Pick<CryptoProvider, "digest">, key: Secret): string {
  return key.expose((octets) => hex(crypto.digest("sha256", label, octets).subarray(0, 8)));
}
