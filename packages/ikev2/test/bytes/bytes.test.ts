import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareBytes, concat, equalBytes, equalConstantTime } from "../../src/bytes/bytes.ts";
import { UsageError } from "../../src/bytes/errors.ts";
import { hex, unhex } from "../../src/bytes/hex.ts";

test("concat joins in order and copies", () => {
  const first = Uint8Array.of(1, 2);
  const whole = concat(first, new Uint8Array(0), Uint8Array.of(3));
  first[0] = 9;
  assert.deepEqual(whole, Uint8Array.of(1, 2, 3));
  assert.deepEqual(concat(), new Uint8Array(0));
});

test("equalBytes and equalConstantTime agree on any pair, equal and nearly equal ones too", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(), fc.integer({ min: 1, max: 255 }), (octets, at, flip) => {
      const same = octets.slice();
      assert.ok(equalBytes(octets, same) && equalConstantTime(octets, same));
      const longer = concat(octets, Uint8Array.of(0));
      assert.ok(!equalBytes(octets, longer) && !equalConstantTime(octets, longer));
      if (octets.length > 0) {
        const index = at % octets.length;
        const other = octets.with(index, (octets[index] ?? 0) ^ flip);
        assert.ok(!equalBytes(octets, other) && !equalConstantTime(octets, other));
      }
    }),
  );
});

test("compareBytes orders as hexadecimal text does (RFC 7296 section 2.8.1)", () => {
  assert.equal(compareBytes(unhex("01ff"), unhex("0200")), -1);
  assert.equal(compareBytes(unhex("80"), unhex("7f")), 1);
  assert.equal(compareBytes(unhex("0102"), unhex("010200")), -1);
  const octets = fc.uint8Array({ maxLength: 3 });
  fc.assert(
    fc.property(octets, octets, (a, b) => {
      const [x, y] = [hex(a), hex(b)];
      let expected = 0;
      if (x !== y) {
        expected = x < y ? -1 : 1;
      }
      assert.equal(compareBytes(a, b), expected);
    }),
  );
});

test("unhex reverses hex, takes either case and refuses the rest without repeating it", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (octets) => {
      assert.deepEqual(unhex(hex(octets)), octets);
      assert.deepEqual(unhex(hex(octets).toUpperCase()), octets);
      assert.equal(hex(octets), Buffer.from(octets).toString("hex"));
    }),
  );
  for (const bad of ["0", "0g", "0x00", " 00", "00\n", "a b "]) {
    assert.throws(
      () => unhex(bad),
      (error) => error instanceof UsageError && error.code === "badHex" && !error.message.includes(bad),
    );
  }
});
