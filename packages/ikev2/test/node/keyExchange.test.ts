import assert from "node:assert/strict";
import { getDiffieHellman } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { nodeKeyExchange } from "../../node/nodeKeyExchange.ts";
import { compareBytes } from "../../src/bytes/bytes.ts";
import { hex, unhex } from "../../src/bytes/hex.ts";
import type { KeyExchange } from "../../src/crypto/provider.ts";
import { KeyExchangeMethod } from "../../src/registry/keyExchangeMethod.ts";

const { CURVE25519, ECP_256, ECP_384, MODP_2048 } = KeyExchangeMethod;

function vectors(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), "utf8"));
}

function keyExchange(method: number, privateKey?: string): KeyExchange {
  return nodeKeyExchange(method, privateKey === undefined ? undefined : octets(privateKey)) ?? assert.fail();
}

function octets(printed: string): Uint8Array {
  return unhex(printed.replaceAll(/\s/g, ""));
}

function agreed(own: KeyExchange, peer: Uint8Array): string | undefined {
  return own.agree(peer)?.expose(hex);
}

const lengths = [
  [CURVE25519, 32, 32],
  [ECP_256, 64, 32],
  [ECP_384, 96, 48],
  [MODP_2048, 256, 256],
] as const;

for (const [method, publicLength, secretLength] of lengths) {
  test(`method ${method}: both ends agree, on as many octets as the group has (RFC 7296 section 2.14)`, () => {
    const initiator = keyExchange(method);
    const responder = keyExchange(method);
    assert.equal(initiator.publicValue.length, publicLength);
    const secret = agreed(initiator, responder.publicValue);
    assert.equal(secret?.length, 2 * secretLength);
    assert.equal(agreed(responder, initiator.publicValue), secret);
    assert.notEqual(agreed(keyExchange(method), initiator.publicValue), secret);
  });

  test(`method ${method}: values of a wrong length are refused (RFC 7296 section 3.4)`, () => {
    const own = keyExchange(method);
    const peer = keyExchange(method).publicValue;
    for (const length of [0, 1, publicLength - 1, publicLength + 1]) {
      const value = new Uint8Array(length);
      value.set(peer.subarray(0, length));
      assert.equal(own.agree(value), undefined);
    }
  });

  test(`method ${method}: zero is refused (RFC 6989 sections 2.1 and 2.3, RFC 7748 section 6.1)`, () => {
    assert.equal(keyExchange(method).agree(new Uint8Array(publicLength)), undefined);
  });
}

test("other methods are not supported", () => {
  for (const method of [0, 1, 2, 5, 21, 32, 36, 65535]) assert.equal(nodeKeyExchange(method), undefined);
});

test("the example of X25519 in IKEv2 (RFC 8031 appendix A)", () => {
  const { di, dr, pubi, pubr, shared } = (
    vectors("rfc-crypto-vectors.json") as { rfc8031_curve25519_group31: Record<string, string> }
  ).rfc8031_curve25519_group31;
  assert.ok(di && dr && pubi && pubr && shared);
  const initiator = keyExchange(CURVE25519, di);
  const responder = keyExchange(CURVE25519, dr);
  assert.equal(hex(initiator.publicValue), pubi);
  assert.equal(hex(responder.publicValue), pubr);
  assert.equal(agreed(initiator, responder.publicValue), shared);
  assert.equal(agreed(responder, initiator.publicValue), shared);
});

interface WycheproofTest {
  readonly tcId: number;
  readonly flags: readonly string[];
  readonly public: string;
  readonly private: string;
  readonly shared: string;
  readonly result: "valid" | "acceptable" | "invalid";
}

test("Wycheproof: all 518 cases of X25519, and no all-zero secret (RFC 7748 section 6.1)", () => {
  const file = vectors("wycheproof/x25519_test.json") as { testGroups: { tests: WycheproofTest[] }[] };
  const cases = file.testGroups.flatMap((group) => group.tests);
  assert.equal(cases.length, 518);
  let refused = 0;
  for (const vector of cases) {
    const isZero = /^0+$/.test(vector.shared);
    const expected = isZero ? undefined : vector.shared;
    const secret = agreed(keyExchange(CURVE25519, vector.private), unhex(vector.public));
    assert.equal(secret, expected, `tcId ${vector.tcId}`);
    assert.notEqual(vector.result, "invalid");
    assert.equal(isZero, vector.flags.includes("ZeroSharedSecret"), `tcId ${vector.tcId}`);
    refused += isZero ? 1 : 0;
  }
  assert.ok(refused > 0);
});

const rfc5903 = [
  {
    name: "RFC 5903 section 8.1",
    method: ECP_256,
    i: "C88F01F5 10D9AC3F 70A292DA A2316DE5 44E9AAB8 AFE84049 C62A9C57 862D1433",
    gi: `DAD0B653 94221CF9 B051E1FE CA5787D0 98DFE637 FC90B9EF 945D0C37 72581180
         5271A046 1CDB8252 D61F1C45 6FA3E59A B1F45B33 ACCF5F58 389E0577 B8990BB3`,
    r: "C6EF9C5D 78AE012A 011164AC B397CE20 88685D8F 06BF9BE0 B283AB46 476BEE53",
    gr: `D12DFB52 89C8D4F8 1208B702 70398C34 2296970A 0BCCB74C 736FC755 4494BF63
         56FBF3CA 366CC23E 8157854C 13C58D6A AC23F046 ADA30F83 53E74F33 039872AB`,
    girx: "D6840F6B 42F6EDAF D13116E0 E1256520 2FEF8E9E CE7DCE03 812464D0 4B9442DE",
  },
  {
    name: "RFC 5903 section 8.2",
    method: ECP_384,
    i: `099F3C70 34D4A2C6 99884D73 A375A67F 7624EF7C 6B3C0F16 0647B674 14DCE655
        E35B5380 41E649EE 3FAEF896 783AB194`,
    gi: `667842D7 D180AC2C DE6F74F3 7551F557 55C7645C 20EF73E3 1634FE72 B4C55EE6
         DE3AC808 ACB4BDB4 C88732AE E95F41AA 9482ED1F C0EEB9CA FC498462 5CCFC23F
         65032149 E0E144AD A0241815 35A0F38E EB9FCFF3 C2C947DA E69B4C63 4573A81C`,
    r: `41CB0779 B4BDB85D 47846725 FBEC3C94 30FAB46C C8DC5060 855CC9BD A0AA2942
        E0308312 916B8ED2 960E4BD5 5A7448FC`,
    gr: `E558DBEF 53EECDE3 D3FCCFC1 AEA08A89 A987475D 12FD950D 83CFA417 32BC509D
         0D1AC43A 0336DEF9 6FDA41D0 774A3571 DCFBEC7A ACF31964 72169E83 8430367F
         66EEBE3C 6E70C416 DD5F0C68 759DD1FF F83FA401 42209DFF 5EAAD96D B9E6386C`,
    girx: `11187331 C279962D 93D60424 3FD592CB 9D0A926F 422E4718 7521287E 7156C5C4
           D6031355 69B9E9D0 9CF5D4A2 70F59746`,
  },
] as const;

for (const { name, method, i, gi, r, gr, girx } of rfc5903) {
  test(`the example of ${name}: public values are x | y, the secret is x`, () => {
    const initiator = keyExchange(method, i);
    const responder = keyExchange(method, r);
    assert.equal(hex(initiator.publicValue), hex(octets(gi)));
    assert.equal(hex(responder.publicValue), hex(octets(gr)));
    assert.equal(agreed(initiator, responder.publicValue), hex(octets(girx)));
    assert.equal(agreed(responder, initiator.publicValue), hex(octets(girx)));
  });

  test(`method ${method}: points off the curve are refused (RFC 6989 section 2.3)`, () => {
    const own = keyExchange(method);
    const point = octets(gi);
    for (let bit = 0; bit < point.length * 8; bit += 7) {
      const off = point.with(bit >> 3, (point[bit >> 3] ?? 0) ^ (1 << (bit & 7)));
      assert.equal(own.agree(off), undefined);
    }
    assert.equal(own.agree(new Uint8Array(point.length).fill(0xff)), undefined); // coordinates beyond the field
  });
}

test("MODP: 0, 1, p-1, p and above are refused, 2 and p-2 are not (RFC 6989 section 2.1)", () => {
  const own = keyExchange(MODP_2048);
  const prime = Uint8Array.from(getDiffieHellman("modp14").getPrime());
  const near = (offset: number): Uint8Array => prime.with(255, (prime[255] ?? 0) + offset);
  const small = (value: number): Uint8Array => new Uint8Array(256).with(255, value);
  const refused = [small(0), small(1), near(-1), prime, new Uint8Array(256).fill(0xff)];
  assert.deepEqual(
    refused.map((value) => own.agree(value)),
    [undefined, undefined, undefined, undefined, undefined],
  );
  assert.equal(own.agree(small(2))?.length, 256);
  assert.equal(own.agree(near(-2))?.length, 256);
});

test("MODP: the secret is r^x mod p (RFC 7296 section 2.14)", () => {
  // whatever x is: (p-2)^x = (-2)^x mod p is 2^x or p - 2^x, and 2^x is our own public value
  const own = keyExchange(MODP_2048);
  const prime = Uint8Array.from(getDiffieHellman("modp14").getPrime());
  const p = BigInt(`0x${hex(prime)}`);
  const publicValue = BigInt(`0x${hex(own.publicValue)}`);
  const secret = BigInt(`0x${agreed(own, prime.with(255, (prime[255] ?? 0) - 2))}`);
  assert.ok(secret === publicValue || secret === p - publicValue);
  assert.ok(compareBytes(own.publicValue, prime) < 0);
  assert.equal(agreed(own, new Uint8Array(256).with(255, 2)), hex(own.publicValue));
});
