import assert from "node:assert/strict";
import { isIP } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { UsageError } from "../../src/bytes/errors.ts";
import {
  canonicalAddress,
  formatAddress,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  parseAddress,
} from "../../src/policy/address.ts";

const canonical: readonly (readonly [string, string])[] = [
  ["10.0.0.1", "10.0.0.1"],
  ["2001:0db8:0000:0000:0000:0000:0002:0001", "2001:db8::2:1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"], // RFC 5952 section 4.2.2
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"], // section 4.2.3: the longest run
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"], // the first of two equal ones
  ["2001:DB8::A", "2001:db8::a"], // section 4.3
  ["0:0:0:0:0:0:0:0", "::"],
  ["0:0:0:0:0:0:0:1", "::1"],
  ["1:0:0:0:0:0:0:0", "1::"],
  ["1::", "1::"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["::ffff:192.0.2.1", "::ffff:192.0.2.1"], // section 5
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
];
for (const [text, expected] of canonical) {
  test(`${text} is ${expected} (RFC 5952)`, () => {
    assert.equal(canonicalAddress(text), expected);
    assert.deepEqual(parseAddress(expected), parseAddress(text));
  });
}

const bad = `|1.2.3|1.2.3.4.5|1.2.3.256|01.2.3.4|1.2.3.4 |+1.2.3.4|1..3.4|a.b.c.d|:|:::|1:2|1:2:3:4:5:6:7:8:9|1::2::3|12345::|
::1.2.3|1.2.3.4::|::1.2.3.4:5|fe80::1%eth0|1:2:3:4:5:6:7:8::|::1:2:3:4:5:6:7:8|g::|1:2:3:4:5:6:7:|:1:2:3:4:5:6:7|1:2:3:4:5:6:7:1.2.3.4`;
for (const text of bad.replaceAll("\n", "").split("|")) {
  test(`"${text}" is no address`, () => assert.equal(parseAddress(text), undefined));
}

test("property: the text of an address reads back, and Node agrees that it is one", () => {
  const octet = fc.oneof(fc.constant(0), fc.nat(255));
  const anyAddress = fc.oneof(
    fc.array(octet, { minLength: 4, maxLength: 4 }),
    fc.array(octet, { minLength: 16, maxLength: 16 }),
  );
  fc.assert(
    fc.property(anyAddress, (octets) => {
      const text = formatAddress(Uint8Array.from(octets));
      assert.equal(isIP(text), octets.length === 4 ? 4 : 6);
      assert.deepEqual(parseAddress(text), Uint8Array.from(octets));
      // the WHATWG URL serializer compresses by the same rules; it only never shows the dotted form
      if (octets.length === 16 && !text.includes(".")) assert.equal(new URL(`http://[${text}]`).hostname, `[${text}]`);
    }),
    { numRuns: 500 },
  );
});

test("property: any text is an address for us exactly when it is one for Node (zones apart)", () => {
  const text = fc.string({ unit: fc.constantFrom(..."0123456789af:.:::."), maxLength: 24 });
  fc.assert(
    fc.property(text, (candidate) => assert.equal(parseAddress(candidate) !== undefined, isIP(candidate) !== 0)),
    { numRuns: 3000 },
  );
});

test("kinds of addresses", () => {
  const all = [
    "127.0.0.1",
    "127.9.9.9",
    "::1",
    "0.0.0.0",
    "::",
    "224.0.0.5",
    "ff02::5",
    "169.254.1.1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "::2",
  ];
  const those = (is: (octets: Uint8Array) => boolean): readonly string[] =>
    all.filter((text) => is(parseAddress(text) ?? assert.fail(text)));
  assert.deepEqual(those(isLoopback), ["127.0.0.1", "127.9.9.9", "::1"]);
  assert.deepEqual(those(isUnspecified), ["0.0.0.0", "::"]);
  assert.deepEqual(those(isMulticast), ["224.0.0.5", "ff02::5"]);
  assert.deepEqual(those(isLinkLocal), ["169.254.1.1", "fe80::1", "febf::1"]);
});

test("only 4 and 16 octets are an address", () => {
  for (const length of [0, 3, 5, 15, 17]) assert.throws(() => formatAddress(new Uint8Array(length)), UsageError);
});
