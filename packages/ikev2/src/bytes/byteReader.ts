import { type MalformedCode, MalformedMessage } from "./errors.ts";

/**
 * Reads big-endian fields from octets of a message. Each read names its field, so that a refusal says which one, where,
 * and what section describes it. `bytes` gives views, not copies.
 */
export class ByteReader {
  readonly #octets: Uint8Array;
  readonly #section: string;
  /** Offset in the message of the first octet. */
  readonly #base: number;
  #next = 0;
  #fieldStart = 0;

  constructor(octets: Uint8Array, section: string, baseOffset = 0) {
    this.#octets = octets;
    this.#section = section;
    this.#base = baseOffset;
  }

  get remaining(): number {
    return this.#octets.length - this.#next;
  }

  /** Offset in the message of the next octet. */
  get offset(): number {
    return this.#base + this.#next;
  }

  uint8(field: string): number {
    return this.#octets[this.#take(1, field)] ?? 0;
  }

  uint16(field: string): number {
    const at = this.#take(2, field);
    return ((this.#octets[at] ?? 0) << 8) | (this.#octets[at + 1] ?? 0);
  }

  uint24(field: string): number {
    const at = this.#take(3, field);
    const octets = this.#octets;
    return ((octets[at] ?? 0) << 16) | ((octets[at + 1] ?? 0) << 8) | (octets[at + 2] ?? 0);
  }

  uint32(field: string): number {
    const at = this.#take(4, field);
    const octets = this.#octets;
    const high = ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0);
    return high * 0x10000 + (((octets[at + 2] ?? 0) << 8) | (octets[at + 3] ?? 0));
  }

  uint64(field: string): bigint {
    const at = this.#take(8, field);
    const view = new DataView(this.#octets.buffer, this.#octets.byteOffset + at, 8);
    return view.getBigUint64(0);
  }

  /** A view of the next `length` octets. */
  bytes(length: number, field: string): Uint8Array {
    const at = this.#take(length, field);
    return this.#octets.subarray(at, at + length);
  }

  /** A view of all that is left. */
  rest(field: string): Uint8Array {
    return this.bytes(this.remaining, field);
  }

  /** A reader of the next `length` octets, which this reader then has behind it. */
  sub(length: number, field: string, section = this.#section): ByteReader {
    const at = this.#take(length, field);
    return new ByteReader(this.#octets.subarray(at, at + length), section, this.#base + at);
  }

  /** Throws when octets of `structure` are left over. */
  expectEnd(structure: string): void {
    if (this.remaining > 0) {
      this.#fieldStart = this.#next;
      throw this.refusal("trailingOctets", structure, `${this.remaining} octets are left over`);
    }
  }

  /** To be thrown: what is wrong with the field read last, or with the one at `offset` in the message. */
  refusal(
    code: MalformedCode,
    field: string,
    detail: string,
    offset = this.#base + this.#fieldStart,
  ): MalformedMessage {
    return new MalformedMessage({ code, section: this.#section, field, offset, detail });
  }

  #take(length: number, field: string): number {
    const at = this.#next;
    this.#fieldStart = at;
    if (length > this.#octets.length - at) {
      throw this.refusal("truncated", field, `needs ${length} octets, ${this.remaining} are left`);
    }
    this.#next = at + length;
    return at;
  }
}
