/** Byte helpers shared by the codecs. All integers are in network byte order. */

/** The octets of `parts`, one after the other. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** The octet at `offset`; the caller has checked the bounds. */
export function uint8(bytes: Uint8Array, offset: number): number {
  const value = bytes[offset];
  if (value === undefined) throw new RangeError(`offset ${offset} is outside ${bytes.length} octets`);
  return value;
}

/** The 16-bit integer at `offset`. */
export function uint16(bytes: Uint8Array, offset: number): number {
  return (uint8(bytes, offset) << 8) | uint8(bytes, offset + 1);
}

/** The unsigned 32-bit integer at `offset`. */
export function uint32(bytes: Uint8Array, offset: number): number {
  return ((uint16(bytes, offset) << 16) | uint16(bytes, offset + 2)) >>> 0;
}

/** Writes a 16-bit integer at `offset`. */
export function setUint16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}

/** Writes an unsigned 32-bit integer at `offset`. */
export function setUint32(bytes: Uint8Array, offset: number, value: number): void {
  setUint16(bytes, offset, (value >>> 16) & 0xffff);
  setUint16(bytes, offset + 2, value & 0xffff);
}

/**
 * A new array of `length` octets from `offset`: a copy, so that its owner may keep it. Not `slice`, which some
 * subclasses of Uint8Array override with a view.
 */
export function copyOf(bytes: Uint8Array, offset = 0, length = bytes.length - offset): Uint8Array {
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(offset, offset + length));
  return copy;
}

/** Whether both hold the same octets, in a time that depends on the lengths alone. */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= uint8(a, index) ^ uint8(b, index);
  return difference === 0;
}
