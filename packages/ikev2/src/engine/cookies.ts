import { equalConstantTime } from "../bytes/bytes.ts";
import { ByteWriter } from "../bytes/byteWriter.ts";
import { utf8Encode } from "../bytes/utf8.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { Instant } from "./machine.ts";

const SECRET_BYTES = 32;

/**
 * Cookie = <VersionIDofSecret> | HMAC(<secret>, Ni | IPi | SPIi): RFC 7296 section 2.6. No state for each initiator;
 * the secret changes while there is demand, and the one before it is still good.
 */
export class Cookies {
  readonly #crypto: CryptoProvider;
  readonly #secretSeconds: number;
  #version = 0;
  #secret: Uint8Array | undefined;
  #previous: Uint8Array | undefined;
  #changeAt: number = Number.NEGATIVE_INFINITY;

  constructor(crypto: CryptoProvider, secretSeconds: number) {
    this.#crypto = crypto;
    this.#secretSeconds = secretSeconds;
  }

  make(now: Instant, ni: Uint8Array, address: string, initiatorSpi: bigint): Uint8Array {
    const secret = this.#present(now);
    return this.#cookie(this.#version, secret, ni, address, initiatorSpi);
  }

  isGood(now: Instant, cookie: Uint8Array, ni: Uint8Array, address: string, initiatorSpi: bigint): boolean {
    const present = this.#present(now);
    const version = cookie[0];
    const secret = version === this.#version ? present : this.#previous;
    if (version === undefined || secret === undefined) return false;
    return equalConstantTime(cookie, this.#cookie(version, secret, ni, address, initiatorSpi));
  }

  #present(now: Instant): Uint8Array {
    if (this.#secret !== undefined && now < this.#changeAt) return this.#secret;
    const isStale = now >= this.#changeAt + this.#secretSeconds * 1000;
    this.#previous = isStale ? undefined : this.#secret;
    this.#secret = this.#crypto.random(SECRET_BYTES);
    this.#version = (this.#version + 1) & 0xff;
    this.#changeAt = now + this.#secretSeconds * 1000;
    return this.#secret;
  }

  #cookie(version: number, secret: Uint8Array, ni: Uint8Array, address: string, initiatorSpi: bigint): Uint8Array {
    const writer = new ByteWriter(8);
    writer.uint64(initiatorSpi);
    const spi = writer.finish();
    const mac = this.#crypto.hmac("sha256", secret, ni, utf8Encode(address), spi);
    const cookie = new Uint8Array(1 + mac.length);
    cookie[0] = version;
    cookie.set(mac, 1);
    return cookie;
  }
}
