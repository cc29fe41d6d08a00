import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hex } from "../../src/bytes/hex.ts";
import { utf8Encode } from "../../src/bytes/utf8.ts";
import {
  equalIdentities,
  formatIdentity,
  type Identity,
  identityKey,
  parseIdentity,
} from "../../src/policy/identity.ts";

function identity(text: string): Identity {
  return parseIdentity(text) ?? assert.fail(text);
}

const forms: readonly (readonly [string, number, string])[] = [
  ["r1.example.net", 2, hex(utf8Encode("r1.example.net"))],
  ["R1.Example.NET", 2, hex(utf8Encode("r1.example.net"))],
  ["localhost", 2, hex(utf8Encode("localhost"))],
  ["10.0.0.1", 1, "0a000001"],
  ["2001:db8::1", 5, "20010db8000000000000000000000001"],
  ["BGP.core@Example.NET", 3, hex(utf8Encode("BGP.core@example.net"))],
  ["keyid:router-7", 11, hex(utf8Encode("router-7"))],
  ["keyid:0x00ff", 11, "00ff"],
  ["dn:0x3000", 9, "3000"],
];
for (const [text, idType, data] of forms) {
  test(`${text} is ID type ${idType} (RFC 7296 section 3.5)`, () => {
    const parsed = identity(text);
    assert.deepEqual([parsed.idType, hex(parsed.data)], [idType, data]);
    assert.ok(equalIdentities(identity(formatIdentity(parsed)), parsed));
  });
}

const bad = [
  "",
  "10.0.0",
  "10.0.0.256",
  "1",
  "a..b",
  ".a",
  "a.",
  "-a.b",
  "a b",
  "a@",
  "@b",
  "a@b@c",
  "é.net",
  "keyid:",
  "keyid:0x",
  "keyid:0xf",
  "keyid:0xzz",
  "dn:CN=r1",
  "dn:0x",
  `${"a".repeat(64)}.net`,
  `${"a.".repeat(127)}ab`,
];
for (const text of bad) {
  test(`"${text.slice(0, 20)}" is no identity`, () => assert.equal(parseIdentity(text), undefined));
}

test("domain names are equal in any ASCII case, on the wire too; nothing else is (RFC 5280 sections 7.2 and 7.5)", () => {
  const fqdn = (text: string): Identity => ({ idType: 2, data: utf8Encode(text) });
  const mailbox = (text: string): Identity => ({ idType: 3, data: utf8Encode(text) });
  const keyId = (text: string): Identity => ({ idType: 11, data: utf8Encode(text) });
  assert.ok(equalIdentities(fqdn("R1.example.net"), fqdn("r1.EXAMPLE.net")));
  assert.ok(equalIdentities(mailbox("bgp@EXAMPLE.net"), mailbox("bgp@example.net")));
  assert.ok(!equalIdentities(mailbox("BGP@example.net"), mailbox("bgp@example.net")));
  assert.ok(!equalIdentities(keyId("A"), keyId("a")));
  assert.ok(!equalIdentities(fqdn("K.net"), fqdn("\u212a.net"))); // the Kelvin sign lower-cases to k, but not in ASCII
  assert.ok(!equalIdentities(fqdn("r1.example.net"), fqdn("r1.example.net\0")));
});

test("the same octets under another type are another identity", () => {
  const data = utf8Encode("r1.example.net");
  assert.ok(!equalIdentities({ idType: 2, data }, { idType: 11, data }));
});

test("property: identityKey is equal exactly for equal identities", () => {
  const any = fc.record({
    idType: fc.constantFrom(1, 2, 3, 11),
    data: fc.oneof(
      fc.uint8Array({ maxLength: 4 }),
      fc.constantFrom(utf8Encode("a@B"), utf8Encode("a@b"), utf8Encode("A@b")),
    ),
  });
  fc.assert(
    fc.property(any, any, (a, b) => assert.equal(identityKey(a) === identityKey(b), equalIdentities(a, b))),
    { numRuns: 1000 },
  );
});

test("what a peer sends is shown escaped", () => {
  const shown = formatIdentity({ idType: 2, data: Uint8Array.of(0x61, 0x1b, 0x5b, 0x0a) });
  assert.ok(!/[^ -~]/.test(shown), shown);
  assert.equal(formatIdentity({ idType: 1, data: new Uint8Array(3) }), "malformed-address:0x000000");
  assert.equal(formatIdentity({ idType: 5, data: new Uint8Array(4) }), "malformed-address:0x00000000");
  assert.equal(formatIdentity({ idType: 201, data: Uint8Array.of(1) }), "id-type-201:0x01");
  assert.equal(formatIdentity({ idType: 11, data: utf8Encode("0xff") }), "keyid:0x30786666");
});

test("property: key ids read back from their text", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 12 }), (octets) => {
      const keyId = { idType: 11, data: Uint8Array.from(octets) };
      assert.deepEqual(parseIdentity(formatIdentity(keyId)), keyId);
    }),
  );
});

test("identities are equal exactly when their keys for maps are", () => {
  const octets = fc.array(fc.constantFrom(0x40, 0x41, 0x61, 0x5a, 0x7a, 0x5b, 0x00), { maxLength: 5 });
  const any = fc.record({
    idType: fc.constantFrom(1, 2, 3, 11),
    data: octets.map((list) => Uint8Array.from(list)),
  });
  const pair = fc.tuple(any, any, fc.boolean(), fc.nat(4)).map(([a, b, isNear, at]) => {
    // The case of one octet changed, or anything
    const near = a.data.map((octet, index) => (index === at ? octet ^ 0x20 : octet));
    return [a, isNear ? { idType: a.idType, data: near } : b] as const;
  });
  fc.assert(
    fc.property(pair, ([a, b]) => {
      assert.equal(equalIdentities(a, b), identityKey(a) === identityKey(b));
      assert.equal(equalIdentities(b, a), equalIdentities(a, b));
    }),
    { numRuns: 2000 },
  );
});
