import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeTcpAoCrypto } from "../node/index.ts";
import { aesCmacPrf128 } from "../src/aesCmacPrf.ts";
import { equalConstantTime } from "../src/bytes.ts";
import { TcpAoUsageError } from "../src/index.ts";
import { hex, toHex, vectors } from "./support.ts";

interface CmacVector {
  readonly key: string;
  readonly msg: string;
  readonly mac: string;
  readonly mac96: string;
}
interface RfcVectors {
  readonly rfc4493_aes_cmac: readonly CmacVector[];
  readonly rfc4615_aes_cmac_prf_128: readonly { readonly key: string; readonly msg: string; readonly out: string }[];
  readonly rfc4231_hmac_sha256: readonly HmacVector[];
  readonly rfc2202_hmac_sha1: readonly HmacVector[];
}
interface HmacVector {
  readonly case: number;
  readonly key: string;
  readonly msg: string;
  readonly mac: string;
}
interface Wycheproof {
  readonly numberOfTests: number;
  readonly testGroups: readonly {
    readonly keySize: number;
    readonly tagSize: number;
    readonly tests: readonly {
      readonly tcId: number;
      readonly key: string;
      readonly msg: string;
      readonly tag: string;
      readonly result: "valid" | "invalid";
    }[];
  }[];
}

const rfc = vectors<RfcVectors>("rfc-crypto-vectors.json");

test("AES-CMAC (RFC 4493 section 4)", () => {
  assert.equal(rfc.rfc4493_aes_cmac.length, 4);
  for (const { key, msg, mac } of rfc.rfc4493_aes_cmac) {
    assert.equal(toHex(nodeTcpAoCrypto.aesCmac(hex(key), hex(msg))), mac);
  }
});

test("AES-CMAC-96 (RFC 4494 section 5)", () => {
  for (const { key, msg, mac96 } of rfc.rfc4493_aes_cmac) {
    assert.equal(toHex(nodeTcpAoCrypto.aesCmac(hex(key), hex(msg)).subarray(0, 12)), mac96);
  }
});

test("AES-CMAC-PRF-128 takes keys of 18, 16 and 10 octets (RFC 4615 section 4)", () => {
  assert.deepEqual(
    rfc.rfc4615_aes_cmac_prf_128.map(({ key }) => key.length / 2),
    [18, 16, 10],
  );
  for (const { key, msg, out } of rfc.rfc4615_aes_cmac_prf_128) {
    assert.equal(toHex(aesCmacPrf128(nodeTcpAoCrypto, hex(key), hex(msg))), out);
  }
});

test("HMAC-SHA-256 (RFC 4231 section 4)", () => {
  assert.equal(rfc.rfc4231_hmac_sha256.length, 7);
  for (const { key, msg, mac } of rfc.rfc4231_hmac_sha256) {
    assert.equal(toHex(nodeTcpAoCrypto.hmac("sha256", hex(key), hex(msg))).slice(0, mac.length), mac);
  }
});

test("HMAC-SHA-1 (RFC 2202 section 3)", () => {
  for (const { key, msg, mac } of rfc.rfc2202_hmac_sha1) {
    assert.equal(toHex(nodeTcpAoCrypto.hmac("sha1", hex(key), hex(msg))), mac);
  }
});

test("AES-CMAC: all Wycheproof cases, those with a wrong key size are refused", () => {
  const { testGroups, numberOfTests } = vectors<Wycheproof>("wycheproof/aes_cmac_test.json");
  let count = 0;
  for (const group of testGroups) {
    for (const { tcId, key, msg, tag, result } of group.tests) {
      count++;
      if (group.keySize !== 128) {
        assert.throws(() => nodeTcpAoCrypto.aesCmac(hex(key), hex(msg)), TcpAoUsageError, `tcId ${tcId}`);
        continue;
      }
      const computed = nodeTcpAoCrypto.aesCmac(hex(key), hex(msg)).subarray(0, group.tagSize / 8);
      assert.equal(equalConstantTime(computed, hex(tag)), result === "valid", `tcId ${tcId}`);
    }
  }
  assert.equal(count, numberOfTests);
});
