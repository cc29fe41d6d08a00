import { setUint16, uint8 } from "./bytes.ts";

/** The Internet checksum (RFC 1071) over `parts`, each of which starts at an even offset. Zero means "valid" when the field is included. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) sum += sumOf(part);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** Zeroes the 16 bits at `offset`, then fills in the checksum over `prefix` and `bytes`. */
export function fillChecksum(bytes: Uint8Array, offset: number, prefix: Uint8Array = new Uint8Array()): void {
  setUint16(bytes, offset, 0);
  setUint16(bytes, offset, internetChecksum(prefix, bytes));
}

function sumOf(part: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < part.length; index += 2) {
    const low = index + 1 < part.length ? uint8(part, index + 1) : 0;
    sum += (uint8(part, index) << 8) | low;
  }
  return sum;
}
