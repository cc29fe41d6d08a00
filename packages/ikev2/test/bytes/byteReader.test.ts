import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteReader } from "../../src/bytes/byteReader.ts";
import { ByteWriter } from "../../src/bytes/byteWriter.ts";
import { MalformedMessage, UsageError } from "../../src/bytes/errors.ts";
import { hex, unhex } from "../../src/bytes/hex.ts";
import { NotifyType } from "../../src/registry/notifyType.ts";

const SECTION = "RFC 0000 section 1";

test("a reader gives what a writer wrote", () => {
  const writer = new ByteWriter(1);
  writer.uint8(0xfe);
  writer.uint16(0xfedc);
  writer.uint32(0xfedcba98);
  writer.uint64(0xfedcba9876543210n);
  writer.bytes(unhex("c0ffee"));
  writer.zeros(2);
  const octets = writer.finish();
  assert.equal(hex(octets), "fefedcfedcba98fedcba9876543210c0ffee0000");
  // Not at the beginning of its buffer, as a payload never is.
  const shifted = unhex(`aaaa${hex(octets)}`).subarray(2);
  const reader = new ByteReader(shifted, SECTION);
  assert.equal(reader.uint8("a"), 0xfe);
  assert.equal(reader.uint16("b"), 0xfedc);
  assert.equal(reader.uint32("c"), 0xfedcba98);
  assert.equal(reader.uint64("d"), 0xfedcba9876543210n);
  assert.equal(reader.uint24("e"), 0xc0ffee);
  assert.equal(hex(reader.rest("f")), "0000");
  reader.expectEnd("all");
});

test("what is read is a view, not a copy", () => {
  const octets = unhex("010203");
  const reader = new ByteReader(octets, SECTION);
  reader.uint8("first");
  const view = reader.bytes(2, "view");
  octets[1] = 0xaa;
  assert.equal(hex(view), "aa03");
});

test("a refusal names field, offset in the message and section, and is answered with INVALID_SYNTAX", () => {
  const reader = new ByteReader(unhex("0102030405"), SECTION, 28);
  reader.uint8("one");
  const sub = reader.sub(2, "sub", "RFC 0000 section 2");
  assert.equal(sub.offset, 29);
  sub.uint8("two");
  assert.throws(() => sub.uint16("three"), {
    name: "MalformedMessage",
    code: "truncated",
    field: "three",
    offset: 30,
    section: "RFC 0000 section 2",
    notifyType: NotifyType.INVALID_SYNTAX,
    message: "three at octet 30: needs 2 octets, 1 are left (RFC 0000 section 2)",
  });
  assert.throws(() => sub.expectEnd("sub"), { code: "trailingOctets", field: "sub", offset: 30 });
  assert.throws(() => reader.sub(3, "too long"), { code: "truncated", field: "too long", offset: 31 });
  assert.throws(() => reader.uint32("four"), { code: "truncated", offset: 31 });
  assert.throws(() => reader.uint64("five"), { code: "truncated", offset: 31 });
  assert.equal(reader.uint16("six"), 0x0405);
  assert.ok(reader.refusal("badValue", "six", "is six") instanceof MalformedMessage);
  assert.equal(reader.refusal("badValue", "six", "is six").offset, 31);
});

test("a writer refuses what does not fit and patches only what is there", () => {
  const writer = new ByteWriter();
  const tooMuch = [
    () => writer.uint8(256),
    () => writer.uint8(-1),
    () => writer.uint16(65536),
    () => writer.uint16(1.5),
    () => writer.uint32(2 ** 32),
    () => writer.uint32(Number.NaN),
    () => writer.uint64(1n << 64n),
    () => writer.uint64(-1n),
    () => writer.patchUint8(0, 1),
  ];
  for (const write of tooMuch) {
    assert.throws(write, (error) => error instanceof UsageError && error.code === "outOfRange");
  }
  assert.equal(writer.length, 0);
  writer.zeros(4);
  writer.patchUint16(1, 0xabcd);
  assert.throws(() => writer.patchUint16(3, 1), UsageError);
  assert.throws(() => writer.patchUint32(-1, 1), UsageError);
  assert.equal(hex(writer.finish()), "00abcd00");
});
