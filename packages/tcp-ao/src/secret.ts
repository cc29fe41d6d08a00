import { copyOf } from "./bytes.ts";

/**
 * Octets that cannot be printed by accident: they live in a private field, and every textual form is redacted.
 * JavaScript cannot promise that erased octets have left memory.
 */
export class Secret {
  readonly #octets: Uint8Array;

  /** Takes a copy: what the caller does with `octets` afterwards changes nothing here. */
  constructor(octets: Uint8Array) {
    this.#octets = copyOf(octets);
  }

  get lengthBytes(): number {
    return this.#octets.length;
  }

  /** Lends the octets to `use`, which must not keep them. */
  expose<T>(use: (octets: Uint8Array) => T): T {
    return use(this.#octets);
  }

  /** Overwrites the octets with zeros. */
  erase(): void {
    this.#octets.fill(0);
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }
}
