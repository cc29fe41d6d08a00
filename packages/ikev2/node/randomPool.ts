import { randomFillSync } from "node:crypto";
import { plain } from "./plain.ts";

const poolLength = 1024;

/**
 * Random octets drawn in stock: a call of node:crypto costs 2 µs however few octets it gives, and an exchange needs
 * several small values. What was given out is wiped from the stock at once.
 */
export class RandomPool {
  readonly #pool = plain(Buffer.alloc(poolLength));
  #used = poolLength;

  /** Fresh memory that belongs to the caller. */
  take(length: number): Uint8Array {
    if (length > poolLength) return randomFillSync(new Uint8Array(length));
    if (length > poolLength - this.#used) this.#refill();
    const end = this.#used + length;
    const octets = this.#pool.slice(this.#used, end);
    this.#pool.fill(0, this.#used, end);
    this.#used = end;
    return octets;
  }

  #refill(): void {
    randomFillSync(this.#pool);
    this.#used = 0;
  }
}
