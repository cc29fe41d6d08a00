import { copyOf, uint8 } from "./bytes.ts";
import { TcpAoUsageError } from "./errors.ts";

const BLOCK_BYTES = 16;
const KEY_BYTES = 16;
/** const_Rb, RFC 4493 section 2.3. */
const CONST_RB = 0x87;

/** AES-128 in CBC mode with a zero IV and no padding; `data` is a non-empty multiple of 16 octets. */
export interface Aes128Cbc {
  aes128CbcEncrypt(key: Uint8Array, data: Uint8Array): Uint8Array;
}

/**
 * AES-CMAC (RFC 4493 section 2.4): 16 octets.
 * @throws TcpAoUsageError `badTrafficKey` when the key does not have 16 octets
 */
export function aesCmac(aes: Aes128Cbc, key: Uint8Array, message: Uint8Array): Uint8Array {
  if (key.length !== KEY_BYTES) {
    throw new TcpAoUsageError(
      "badTrafficKey",
      `AES-CMAC takes a key of 16 octets, not ${key.length} (RFC 4493 section 2.4)`,
    );
  }
  const input = paddedMessage(message);
  const isComplete = message.length > 0 && message.length % BLOCK_BYTES === 0;
  // K1 when the last block is complete, else K2, RFC 4493 section 2.4 step 4
  const k1 = double(aes.aes128CbcEncrypt(key, new Uint8Array(BLOCK_BYTES)));
  const subkey = isComplete ? k1 : double(k1);
  const last = input.length - BLOCK_BYTES;
  for (let index = 0; index < BLOCK_BYTES; index++) {
    input[last + index] = uint8(input, last + index) ^ uint8(subkey, index);
  }
  // X := AES-128(K, X XOR M_i): the last block of CBC with a zero IV
  const chained = aes.aes128CbcEncrypt(key, input);
  return copyOf(chained, chained.length - BLOCK_BYTES);
}

/** padding(x): the message, 0x80 and zeros up to a whole number of blocks, at least one. */
function paddedMessage(message: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(message.length / BLOCK_BYTES));
  const padded = new Uint8Array(blocks * BLOCK_BYTES);
  padded.set(message);
  if (message.length < padded.length) padded[message.length] = 0x80;
  return padded;
}

/** Multiplication by x in GF(2^128) (Generate_Subkey, RFC 4493 section 2.3), without a branch on secret bits. */
function double(block: Uint8Array): Uint8Array {
  const doubled = new Uint8Array(BLOCK_BYTES);
  const carry = uint8(block, 0) >>> 7;
  for (let index = 0; index < BLOCK_BYTES; index++) {
    const next = index + 1 < BLOCK_BYTES ? uint8(block, index + 1) >>> 7 : 0;
    doubled[index] = (uint8(block, index) << 1) | next;
  }
  doubled[BLOCK_BYTES - 1] = uint8(doubled, BLOCK_BYTES - 1) ^ (CONST_RB * carry);
  return doubled;
}
