import assert from "node:assert/strict";
import { isIP } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { formatAddress, parseAddress, TcpAoUsageError } from "../src/index.ts";
import { toHex } from "./support.ts";

test("addresses in text become octets, and the text of RFC 5952 section 4 again", () => {
  const cases: readonly [string, string, string?][] = [
    ["10.0.0.1", "0a000001"],
    ["::", "0".repeat(32)],
    ["::1", `${"0".repeat(31)}1`],
    ["fd00::", `fd00${"0".repeat(28)}`],
    ["2001:db8:0:0:1:0:0:1", "20010db8000000000001000000000001", "2001:db8::1:0:0:1"],
    ["2001:DB8::a", "20010db800000000000000000000000a", "2001:db8::a"],
    ["1:0:2:3:4:5:6:7", "00010000000200030004000500060007"],
    ["::ffff:10.0.0.1", "00000000000000000000ffff0a000001", "::ffff:a00:1"],
  ];
  for (const [text, octets, canonical = text] of cases) {
    assert.equal(toHex(parseAddress(text)), octets, text);
    assert.equal(formatAddress(parseAddress(text)), canonical);
  }
});

test("what node:net takes for no address is refused, and the other way round", () => {
  const pieces = fc.constantFrom(
    "0",
    "1",
    "ffff",
    "12345",
    "g",
    ":",
    "::",
    ".",
    "255",
    "256",
    "01",
    "1.2.3.4",
    "%eth0",
    " ",
  );
  const texts = fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join(""));
  const likely = fc.oneof(fc.ipV4(), fc.ipV6(), texts);
  fc.assert(
    fc.property(likely, (text) => {
      fc.pre(!text.includes("%"));
      if (isIP(text) === 0) assert.throws(() => parseAddress(text), TcpAoUsageError);
      else assert.equal(toHex(parseAddress(formatAddress(parseAddress(text)))), toHex(parseAddress(text)));
    }),
    { numRuns: 3000 },
  );
});
