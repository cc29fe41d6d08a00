/** The same octets as a plain Uint8Array: a Buffer's `slice` shares memory where Uint8Array's copies. */
export function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
