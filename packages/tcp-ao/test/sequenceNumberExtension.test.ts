import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SequenceNumberExtension, TcpAoUsageError } from "../src/index.ts";

/** The 64-bit numbers of RFC 9187 section 6, in the order in which they are received. */
const VALIDATION_SUITE = `
  00000000 00000000  00000000 30000000  00000000 90000000  00000000 70000000  00000000 a0000000
  00000001 00000001  00000000 e0000000  00000001 00000000  00000001 7fffffff  00000001 00000000
  00000001 50000000  00000001 80000000  00000001 00000001  00000001 40000000  00000001 90000000
  00000001 b0000000  00000002 0fffffff  00000002 20000000  00000002 90000000  00000002 70000000
  00000002 A0000000  00000003 00004000  00000002 D0000000  00000003 20000000  00000003 90000000
  00000003 70000000  00000003 A0000000  00000004 00004000  00000003 D0000000`;

test("the validation suite (RFC 9187 section 6)", () => {
  const numbers = VALIDATION_SUITE.trim()
    .split(/\s+/)
    .map((word) => Number.parseInt(word, 16));
  assert.equal(numbers.length, 58);
  const extension = new SequenceNumberExtension();
  for (let index = 0; index < numbers.length; index += 2) {
    const [sne, sequenceNumber] = [numbers[index], numbers[index + 1] ?? 0];
    assert.equal(extension.peek(sequenceNumber), sne, `line ${index / 2}`);
    assert.equal(extension.accept(sequenceNumber), sne, `line ${index / 2}`);
  }
});

test("it starts at any ISN (RFC 9187 section 2)", () => {
  for (const isn of [0, 1, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff]) {
    const extension = new SequenceNumberExtension(isn);
    assert.equal(extension.accept(isn), 0);
    assert.equal(extension.accept((isn + 1) >>> 0), isn === 0xffffffff ? 1 : 0);
  }
});

test("a segment from before the ISN's first roll-over keeps its SNE (RFC 5925 section 6.2)", () => {
  const extension = new SequenceNumberExtension(0xfffffff0);
  assert.equal(extension.accept(0x10), 1);
  assert.equal(extension.accept(0xfffffff8), 0);
  assert.equal(extension.accept(0x20), 1);
});

test("peek changes nothing, whatever is peeked at (RFC 5925 section 7.5: only valid segments count)", () => {
  const extension = new SequenceNumberExtension(0xfffffff0);
  for (const forged of [0, 0x40000000, 0x7fffffff, 0x80000000]) extension.peek(forged);
  assert.equal(extension.accept(0xfffffff1), 0);
});

test("any walk of legal jumps gives the upper half of the 64-bit number (RFC 9187 section 2)", () => {
  const isns = fc.integer({ min: 0, max: 0xffffffff });
  // Forward by less than half the space; now and then a segment from shortly before comes late
  const steps = fc.array(
    fc.record({ forward: fc.integer({ min: 0, max: 0x3fffffff }), late: fc.integer({ min: 0, max: 0x3fffffff }) }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(isns, steps, (isn, walk) => {
      const extension = new SequenceNumberExtension(isn);
      let highest = BigInt(isn);
      for (const { forward, late } of walk) {
        highest += BigInt(forward);
        for (const number of [highest, highest - BigInt(late)]) {
          if (number < BigInt(isn)) continue;
          assert.equal(extension.accept(Number(number & 0xffffffffn)), Number(number >> 32n));
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("what is not an unsigned 32-bit integer is refused", () => {
  for (const value of [-1, 0x100000000, 1.5, Number.NaN]) {
    assert.throws(() => new SequenceNumberExtension(value), TcpAoUsageError);
    assert.throws(() => new SequenceNumberExtension().accept(value), TcpAoUsageError);
  }
});
