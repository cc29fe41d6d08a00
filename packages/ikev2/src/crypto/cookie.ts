import { concat, equalConstantTime } from "../bytes/bytes.ts";
import { Secret } from "../bytes/secret.ts";
import { utf8Encode } from "../bytes/utf8.ts";
import type { CryptoProvider } from "./provider.ts";

/** What a cookie is bound to: the initiator's nonce, address and SPI. */
export interface CookieSubject {
  readonly ni: Uint8Array;
  /** IPi, canonical text. */
  readonly address: string;
  readonly spiI: bigint;
}

/**
 * Stateless cookies, RFC 7296 section 2.6: Cookie = <VersionIDofSecret> | HMAC(<secret>, Ni | IPi | SPIi). A secret
 * signs for `secretLifetimeMilliseconds` and is accepted for as long again, so a cookie lives at least that long.
 */
export class CookieSecrets {
  readonly #crypto: CryptoProvider;
  #version = 0;
  #current: Secret;
  #previous: Secret | undefined;
  #rotateAt: number;

  /** `now`: milliseconds of a monotonic clock, here and in the methods. */
  constructor(crypto: CryptoProvider, now: number) {
    this.#crypto = crypto;
    this.#current = freshSecret(crypto);
    this.#rotateAt = now + secretLifetimeMilliseconds;
  }

  /** Notification Data of a COOKIE notify. */
  issue(subject: CookieSubject, now: number): Uint8Array {
    this.#rotate(now);
    return this.#cookie(this.#version, this.#current, subject);
  }

  /** True for a cookie that we issued to this initiator not long ago. */
  accepts(cookie: Uint8Array, subject: CookieSubject, now: number): boolean {
    this.#rotate(now);
    const secret = this.#secretOf(cookie[0]);
    if (secret === undefined) return false;
    return equalConstantTime(cookie, this.#cookie(cookie[0] ?? 0, secret, subject));
  }

  #secretOf(version: number | undefined): Secret | undefined {
    if (version === this.#version) return this.#current;
    return version === ((this.#version - 1) & 0xff) ? this.#previous : undefined;
  }

  #cookie(version: number, secret: Secret, subject: CookieSubject): Uint8Array {
    const { ni, address, spiI } = subject;
    const spi = new Uint8Array(8);
    new DataView(spi.buffer).setBigUint64(0, spiI);
    // the length of Ni first: no two subjects give the same octets
    const mac = secret.expose((key) =>
      this.#crypto.hmac("sha256", key, Uint8Array.of(ni.length >> 8, ni.length & 0xff), ni, spi, utf8Encode(address)),
    );
    return concat(Uint8Array.of(version), mac);
  }

  #rotate(now: number): void {
    if (now < this.#rotateAt) return;
    // after a long pause the current secret is too old even to be the previous one
    const isStale = now >= this.#rotateAt + secretLifetimeMilliseconds;
    this.#previous?.erase();
    if (isStale) this.#current.erase();
    this.#previous = isStale ? undefined : this.#current;
    this.#current = freshSecret(this.#crypto);
    this.#version = (this.#version + 1) & 0xff;
    this.#rotateAt = now + secretLifetimeMilliseconds;
  }
}

const secretLifetimeMilliseconds = 60_000;

function freshSecret(crypto: CryptoProvider): Secret {
  return new Secret(crypto.random(32));
}
