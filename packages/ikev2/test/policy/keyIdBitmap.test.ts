import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { UsageError } from "../../src/bytes/errors.ts";
import {
  decodeKeyIdBitmap,
  firstFreeKeyId,
  hasKeyId,
  keyIdBitmapOf,
  keyIdsOf,
  unionOfKeyIds,
} from "../../src/policy/keyIdBitmap.ts";

test("id n is bit (n & 7), least significant first, of octet n >> 3", () => {
  const bitmap = keyIdBitmapOf([0, 9, 255]);
  assert.equal(bitmap.length, 32);
  assert.deepEqual([bitmap[0], bitmap[1], bitmap[31]], [0x01, 0x02, 0x80]);
});

test("property: a bitmap holds exactly what was put into it", () => {
  const ids = fc.uniqueArray(fc.nat(255));
  fc.assert(
    fc.property(ids, ids, fc.nat(255), (a, b, from) => {
      const bitmap = keyIdBitmapOf(a);
      assert.deepEqual(
        keyIdsOf(bitmap),
        a.toSorted((x, y) => x - y),
      );
      assert.deepEqual(new Set(keyIdsOf(unionOfKeyIds(bitmap, keyIdBitmapOf(b)))), new Set([...a, ...b]));
      const free = firstFreeKeyId(bitmap, from);
      assert.equal(free === undefined, a.length === 256);
      assert.equal(free !== undefined && hasKeyId(bitmap, free), false);
    }),
  );
});

test("the first free id is searched upwards and around", () => {
  assert.equal(firstFreeKeyId(keyIdBitmapOf([])), 0);
  assert.equal(firstFreeKeyId(keyIdBitmapOf([7, 8]), 7), 9);
  assert.equal(firstFreeKeyId(keyIdBitmapOf([255]), 255), 0);
  assert.equal(firstFreeKeyId(new Uint8Array(32).fill(0xff)), undefined);
  assert.deepEqual(unionOfKeyIds(), new Uint8Array(32));
});

test("only 32 octets are a bitmap, and only 0 to 255 are ids", () => {
  assert.equal(decodeKeyIdBitmap(new Uint8Array(31)), undefined);
  assert.equal(decodeKeyIdBitmap(new Uint8Array(33)), undefined);
  assert.equal(decodeKeyIdBitmap(new Uint8Array(32))?.length, 32);
  for (const id of [-1, 256, 1.5]) assert.throws(() => keyIdBitmapOf([id]), UsageError);
});
