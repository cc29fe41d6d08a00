import assert from "node:assert/strict";
import { test } from "node:test";
import { RandomPool } from "../../node/randomPool.ts";

test("every draw has its length, and no eight octets come twice, whatever is drawn in between", () => {
  const pool = new RandomPool();
  const seen = new Set<string>();
  for (let round = 0; round < 2000; round++) {
    for (const length of [8, 32, 16, 0, 1, 7]) {
      const octets = pool.take(length);
      assert.equal(octets.length, length);
      for (let at = 0; at + 8 <= length; at += 8) {
        const block = Buffer.from(octets.subarray(at, at + 8)).toString("hex");
        assert.ok(!seen.has(block), `${block} came twice`);
        assert.notEqual(block, "0000000000000000");
        seen.add(block);
      }
    }
  }
});

test("a draw as long as the stock, and longer ones, are random to the end", () => {
  const pool = new RandomPool();
  pool.take(3);
  for (const length of [1023, 1024, 1025, 4096]) {
    const octets = pool.take(length);
    assert.equal(octets.length, length);
    for (let at = 0; at + 16 <= length; at += 16) {
      assert.ok(octets.subarray(at, at + 16).some((octet) => octet !== 0));
    }
    assert.ok(octets.subarray(-16).some((octet) => octet !== 0));
  }
});

test("what is given out belongs to the caller", () => {
  const pool = new RandomPool();
  const first = pool.take(16);
  const copy = first.slice();
  const second = pool.take(16);
  second.fill(0);
  pool.take(1024);
  assert.deepEqual(first, copy);
  assert.notEqual(first.buffer, second.buffer);
  assert.equal(first.buffer.byteLength, 16);
});

test("each bit is set about as often as not", () => {
  const pool = new RandomPool();
  const draws = 20_000;
  const counts = new Array<number>(8).fill(0);
  for (let draw = 0; draw < draws; draw++) {
    const octet = pool.take(1)[0] ?? 0;
    counts.forEach((count, bit) => {
      counts[bit] = count + ((octet >> bit) & 1);
    });
  }
  // eight standard deviations of a fair coin
  for (const count of counts) assert.ok(Math.abs(count - draws / 2) < 4 * Math.sqrt(draws), `${count} of ${draws}`);
});
