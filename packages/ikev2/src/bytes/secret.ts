/**
 * Octets that must not be printed. `util.inspect`, `String()` and `JSON.stringify` show only that there is a secret.
 * JavaScript cannot promise that a key leaves memory; `erase` overwrites this copy.
 */
export class Secret {
  readonly #octets: Uint8Array;

  /** Takes ownership of `octets`: the caller must not keep or change them. */
  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  get length(): number {
    return this.#octets.length;
  }

  /** Lends the octets to `use`, which must not keep them. */
  expose<T>(use: (octets: Uint8Array) => T): T {
    return use(this.#octets);
  }

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
