import { createCipheriv, createHmac, timingSafeEqual } from "node:crypto";
import { createTcpAoCrypto, type TcpAoCrypto } from "../src/index.ts";

const ZERO_IV = new Uint8Array(16);

/** {@link TcpAoCrypto} on node:crypto: synchronous, raw keys. */
export const nodeTcpAoCrypto: TcpAoCrypto = createTcpAoCrypto({
  hmac: (hash, key, data) => octets(createHmac(hash, key).update(data).digest()),
  aes128CbcEncrypt(key, data) {
    const cipher = createCipheriv("aes-128-cbc", key, ZERO_IV).setAutoPadding(false);
    return octets(cipher.update(data));
  },
  equalConstantTime: (a, b) => a.length === b.length && timingSafeEqual(a, b),
});

/** A plain Uint8Array: a Buffer's slice() would be a view where the core wants a copy. */
function octets(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
