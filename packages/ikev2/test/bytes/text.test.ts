import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { escapeText } from "../../src/bytes/escapeText.ts";
import { unhex } from "../../src/bytes/hex.ts";
import { utf8Decode, utf8Encode } from "../../src/bytes/utf8.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

test("utf8Encode does what TextEncoder does, lone surrogates included", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      assert.deepEqual(utf8Encode(text), new TextEncoder().encode(text));
    }),
  );
  assert.deepEqual(utf8Encode("a\ud800b"), new TextEncoder().encode("a\ufffdb"));
});

test("utf8Decode agrees with a strict TextDecoder on any octets (RFC 3629 section 4)", () => {
  const nearlyText = fc.uint8Array({ maxLength: 12 }).map((octets) => octets.map((octet) => octet | 0x80));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 12 }), nearlyText), (octets) => {
      assert.equal(utf8Decode(octets), decodeOrUndefined(octets));
    }),
    { numRuns: 2000 },
  );
});

test("utf8Decode at the borders of RFC 3629 section 4", () => {
  const borders = [
    "7f",
    "80",
    "bf",
    "c080",
    "c1bf",
    "c280",
    "dfbf",
    "c2",
    "e0a080",
    "e09f80",
    "ed9fbf",
    "eda080",
    "edbfbf",
    "ee8080",
    "efbfbf",
    "efbbbf61",
    "e0a0",
    "f0908080",
    "f08f8080",
    "f48fbfbf",
    "f4908080",
    "f5808080",
    "f09080",
    "ff",
    "c2c2",
  ];
  for (const border of borders) {
    const octets = unhex(border);
    assert.equal(utf8Decode(octets), decodeOrUndefined(octets), border);
  }
});

test("escapeText leaves plain text alone", () => {
  assert.equal(escapeText("key not installed: café, 鍵, 🔑"), "key not installed: café, 鍵, 🔑");
  assert.equal(escapeText(utf8Encode("café")), "café");
});

test("escapeText shows what could fool a terminal, a log or a reader", () => {
  const cases: readonly (readonly [string | Uint8Array, string])[] = [
    ["a\u001b[2Jb", "a\\u{1b}[2Jb"],
    ["a\r\nb\0\u007f\u009b", "a\\u{d}\\u{a}b\\u{0}\\u{7f}\\u{9b}"],
    ["\u202eevil\u2066\u200f", "\\u{202e}evil\\u{2066}\\u{200f}"],
    ["a\u200bb\ufeff\u2028\u2029", "a\\u{200b}b\\u{feff}\\u{2028}\\u{2029}"],
    ["\u{e0041}\u00ad\u3164\u00a0", "\\u{e0041}\\u{ad}\\u{3164}\\u{a0}"],
    ["\\u{1b}", "\\\\u{1b}"],
    [unhex("61ff62c3"), "a\\xffb\\xc3"],
    [unhex("eda080"), "\\xed\\xa0\\x80"],
  ];
  for (const [text, shown] of cases) {
    assert.equal(escapeText(text), shown);
  }
});

test("escapeText is bounded and never cuts an escape in two", () => {
  assert.equal(escapeText("abcdef", 6), "abcdef");
  assert.equal(escapeText("abcdefg", 6), "abcde…");
  assert.equal(escapeText(unhex("6161ffffff"), 10), "aa\\xff…");
  assert.equal(escapeText("x".repeat(1_000_000)).length, 256);
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.string({ unit: "binary" })),
      fc.nat(40),
      (text, limit) => {
        const shown = escapeText(text, limit);
        assert.ok(shown.length <= limit);
        // Nothing but printable characters, and every backslash begins a whole escape.
        assert.match(shown, /^(?:[^\p{C}\p{Zl}\p{Zp}\\]|\\\\|\\x[0-9a-f]{2}|\\u\{[0-9a-f]+\})*$/u);
      },
    ),
    { numRuns: 1000 },
  );
});

function decodeOrUndefined(octets: Uint8Array): string | undefined {
  try {
    return strict.decode(octets);
  } catch {
    return undefined;
  }
}
