/** Sets of TCP-AO KeyIDs as 32 octets: id n is bit (n & 7), least significant first, of octet n >> 3. */
import { UsageError } from "../bytes/errors.ts";

const bitmapLength = 32;

export function keyIdBitmapOf(ids: Iterable<number>): Uint8Array {
  const bitmap = new Uint8Array(bitmapLength);
  for (const id of ids) {
    if (!Number.isInteger(id) || id < 0 || id > 255) throw new UsageError("badKeyId", `not a KeyID: ${id}`);
    bitmap[id >> 3] = (bitmap[id >> 3] ?? 0) | (1 << (id & 7));
  }
  return bitmap;
}

/** The bitmap of a KMP_KEYIDS_TAKEN notify, or undefined when it is not 32 octets long. */
export function decodeKeyIdBitmap(data: Uint8Array): Uint8Array | undefined {
  return data.length === bitmapLength ? data.slice() : undefined;
}

export function hasKeyId(bitmap: Uint8Array, id: number): boolean {
  return (((bitmap[id >> 3] ?? 0) >> (id & 7)) & 1) === 1;
}

export function hasFreeKeyId(bitmap: Uint8Array): boolean {
  return bitmap.some((octet) => octet !== 0xff);
}

/** The members in ascending order. */
export function keyIdsOf(bitmap: Uint8Array): readonly number[] {
  return Array.from({ length: 256 }, (_, id) => id).filter((id) => hasKeyId(bitmap, id));
}

/** All that is in any of the bitmaps. */
export function unionOfKeyIds(...bitmaps: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from({ length: bitmapLength }, (_, octet) =>
    bitmaps.reduce((union, bitmap) => union | (bitmap[octet] ?? 0), 0),
  );
}

/** The first id not in the bitmap, counting up from `from` and around; undefined when all 256 are taken. */
export function firstFreeKeyId(bitmap: Uint8Array, from = 0): number | undefined {
  for (let step = 0; step < 256; step++) {
    const id = (from + step) & 0xff;
    if (!hasKeyId(bitmap, id)) return id;
  }
  return undefined;
}
