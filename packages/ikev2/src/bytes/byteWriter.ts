import { UsageError } from "./errors.ts";

/** Writes big-endian fields into one growing buffer; lengths are patched in afterwards. */
export class ByteWriter {
  #buffer: Uint8Array;
  #length = 0;

  constructor(capacity = 512) {
    this.#buffer = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  uint8(value: number): void {
    requireUint(value, 0xff);
    const at = this.#grow(1);
    this.#buffer[at] = value;
  }

  uint16(value: number): void {
    requireUint(value, 0xffff);
    this.#put(this.#grow(2), 2, value);
  }

  uint32(value: number): void {
    requireUint(value, 0xffffffff);
    this.#put(this.#grow(4), 4, value);
  }

  uint64(value: bigint): void {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) {
      throw new UsageError("outOfRange", "value does not fit 64 bits");
    }
    const at = this.#grow(8);
    new DataView(this.#buffer.buffer, at, 8).setBigUint64(0, value);
  }

  bytes(octets: Uint8Array): void {
    const at = this.#grow(octets.length); // first: it may replace the buffer
    this.#buffer.set(octets, at);
  }

  /** RESERVED fields: sent as zero. */
  zeros(count: number): void {
    this.#grow(count);
  }

  patchUint8(at: number, value: number): void {
    requireUint(value, 0xff);
    this.#patch(at, 1, value);
  }

  patchUint16(at: number, value: number): void {
    requireUint(value, 0xffff);
    this.#patch(at, 2, value);
  }

  patchUint32(at: number, value: number): void {
    requireUint(value, 0xffffffff);
    this.#patch(at, 4, value);
  }

  /** A buffer of exactly what was written; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#length === this.#buffer.length ? this.#buffer : this.#buffer.slice(0, this.#length);
  }

  #patch(at: number, size: number, value: number): void {
    if (at < 0 || at + size > this.#length) {
      throw new UsageError("outOfRange", "patch outside of what was written");
    }
    this.#put(at, size, value);
  }

  #put(at: number, size: number, value: number): void {
    for (let i = size - 1, rest = value; i >= 0; i--) {
      this.#buffer[at + i] = rest & 0xff;
      rest = Math.floor(rest / 256);
    }
  }

  /** Makes room; returns where it begins. */
  #grow(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    this.#length = needed;
    return at;
  }
}

function requireUint(value: number, maximum: number): void {
  if (!Number.isInteger(value) || value < 0 || value > maximum) {
    throw new UsageError("outOfRange", `${value} is not an integer from 0 to ${maximum}`);
  }
}
