import { encodePayloads } from "../codec/codec.ts";
import type { EncryptedPayload, IkeHeader, Payload } from "../codec/message.ts";
import { eraseIkeSaKeys, type IkeSaKeys, sendingKeys } from "../crypto/keys.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { protect, unprotect } from "../crypto/sk.ts";
import type { CipherSuite } from "../crypto/suite.ts";

/**
 * The suite and keys of one IKE SA, and the counter that keeps an IV from being used twice (RFC 5282 section 3.1).
 * IKE SAs are never stored, so the counter begins with the keys and ends with them.
 */
export class SaCipher {
  readonly suite: CipherSuite;
  readonly keys: IkeSaKeys;
  readonly #isInitiator: boolean;
  #sent = 0;

  constructor(suite: CipherSuite, keys: IkeSaKeys, isInitiator: boolean) {
    this.suite = suite;
    this.keys = keys;
    this.#isInitiator = isInitiator;
  }

  /** Messages protected so far with the keys of our direction. */
  get sent(): number {
    return this.#sent;
  }

  seal(crypto: CryptoProvider, header: IkeHeader, payloads: readonly Payload[]): Uint8Array {
    const inner = encodePayloads(payloads);
    return protect(crypto, this.suite, sendingKeys(this.keys, this.#isInitiator), this.#sent++, header, inner);
  }

  /** The octets of the payloads inside, or undefined when they are not what the peer sent. */
  open(crypto: CryptoProvider, encrypted: EncryptedPayload): Uint8Array | undefined {
    return unprotect(crypto, this.suite, sendingKeys(this.keys, !this.#isInitiator), encrypted);
  }

  erase(): void {
    eraseIkeSaKeys(this.keys);
  }
}
