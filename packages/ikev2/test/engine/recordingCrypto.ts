import { createHash } from "node:crypto";
import { NodeCryptoProvider } from "../../node/nodeCryptoProvider.ts";
import type { AeadName } from "../../src/crypto/provider.ts";

/** The real crypto, with random octets from a seed, and a memory of what was sealed: tests read SK payloads by it. */
export class RecordingCrypto extends NodeCryptoProvider {
  readonly sealed: Uint8Array[] = [];
  /** Octets that random() gives next, instead of its own. */
  readonly scripted: Uint8Array[] = [];
  /** Changes the octets of the next SK payload before it is sealed: a peer that misbehaves under the right keys. */
  tamper: ((plaintext: Uint8Array) => void) | undefined;
  readonly #seed: string;
  #drawn = 0;

  constructor(seed: string) {
    super();
    this.#seed = seed;
  }

  override random(length: number): Uint8Array {
    const scripted = this.scripted[0]?.length === length ? this.scripted.shift() : undefined;
    if (scripted !== undefined) return scripted;
    const octets = new Uint8Array(length);
    for (let offset = 0; offset < length; offset += 32) {
      const block = createHash("sha256")
        .update(`${this.#seed} ${this.#drawn++}`)
        .digest();
      octets.set(block.subarray(0, length - offset), offset);
    }
    return octets;
  }

  override readonly aeadSeal = (
    cipher: AeadName,
    key: Uint8Array,
    nonce: Uint8Array,
    associatedData: Uint8Array,
    plaintext: Uint8Array,
  ): Uint8Array => {
    this.sealed.push(plaintext.slice());
    this.tamper?.(plaintext);
    this.tamper = undefined;
    return plainSeal.aeadSeal(cipher, key, nonce, associatedData, plaintext);
  };

  override readonly cbcEncrypt = (key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Uint8Array => {
    this.sealed.push(plaintext.slice());
    return plainSeal.cbcEncrypt(key, iv, plaintext);
  };
}

const plainSeal = new NodeCryptoProvider();
