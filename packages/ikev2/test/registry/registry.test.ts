import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { ExchangeType } from "../../src/registry/exchangeType.ts";
import { KeyState } from "../../src/registry/keyState.ts";
import { nameOf } from "../../src/registry/nameOf.ts";
import { NotifyType } from "../../src/registry/notifyType.ts";
import { PayloadType } from "../../src/registry/payloadType.ts";
import { SecurityProtocolId } from "../../src/registry/securityProtocolId.ts";
import { TransformType } from "../../src/registry/transformType.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "..");

test("unknown values survive and print", () => {
  assert.equal(nameOf(NotifyType, 14), "NO_PROPOSAL_CHOSEN");
  assert.equal(nameOf(NotifyType, 48699), "UNKNOWN(48699)");
  assert.equal(nameOf(SecurityProtocolId, 201), "TCP_AO");
});

test("numbers that are often mistyped", () => {
  assert.deepEqual(
    [ExchangeType.CREATE_CHILD_SA, PayloadType.SK, PayloadType.TSr, TransformType.TCP_OPT],
    [36, 46, 45, 241],
  );
  assert.equal(NotifyType.SIGNATURE_HASH_ALGORITHMS, 16431);
  assert.equal(NotifyType.IP6_ALLOWED, 16440);
  assert.equal(NotifyType.ADDITIONAL_KEY_EXCHANGE, 16441);
  assert.equal(NotifyType.SUPPORTED_AUTH_METHODS, 16443);
  assert.equal(NotifyType.CHILDLESS_IKEV2_SUPPORTED, 16418);
  assert.equal(NotifyType.KMP_KEY_STATE, 48643);
  assert.deepEqual(KeyState, { unknown: 0, ready: 1, inUse: 2, withdrawn: 3, failed: 4, observing: 5 });
});

test("private numbers lie in the private-use ranges of RFC 4306 section 6", () => {
  const inRange = (value: number, low: number, high: number) => assert.ok(value >= low && value <= high, String(value));
  inRange(SecurityProtocolId.TCP_AO, 201, 255);
  inRange(TransformType.TCP_OPT, 241, 255);
  inRange(NotifyType.KEYID_IN_USE, 8192, 16383);
  inRange(NotifyType.KMP_FREEZE, 40960, 65535);
});

test("the generated files are those of the tables", () => {
  assert.equal(generate(root, "--check").status, 0);
});

test("--check notices a changed table, a stray file and a bad row, and writes nothing", (t) => {
  const copy = copyOfRegistry();
  t.after(() => rmSync(copy, { recursive: true }));
  const table = join(copy, "registry", "tcp-options.tsv");
  const generated = join(copy, "packages", "ikev2", "src", "registry", "tcpOptions.ts");
  const before = readFileSync(generated, "utf8");
  writeFileSync(table, `${readFileSync(table, "utf8")}BOTH\t2\tkarp (private use)\n`);
  const changed = generate(copy, "--check");
  assert.equal(changed.status, 1);
  assert.match(changed.stderr, /tcpOptions\.ts is out of date/);
  assert.equal(readFileSync(generated, "utf8"), before);

  assert.equal(generate(copy).status, 0);
  assert.match(readFileSync(generated, "utf8"), /BOTH: 2,/);
  assert.equal(generate(copy, "--check").status, 0);

  writeFileSync(generated.replace("tcpOptions", "stray"), before);
  assert.match(generate(copy, "--check").stderr, /stray\.ts has no table/);
  writeFileSync(table, `${readFileSync(table, "utf8")}AGAIN\t2\tkarp (private use)\n`);
  const twice = generate(copy);
  assert.notEqual(twice.status, 0);
  assert.match(twice.stderr, /AGAIN is not above the value before it/);
});

function copyOfRegistry(): string {
  const copy = mkdtempSync(join(tmpdir(), "karp-registry-"));
  mkdirSync(join(copy, "packages", "ikev2", "src"), { recursive: true });
  writeFileSync(join(copy, "package.json"), '{"type":"module"}');
  cpSync(join(root, "registry"), join(copy, "registry"), { recursive: true });
  cpSync(join(root, "scripts/nodeVersion.js"), join(copy, "scripts/nodeVersion.js"));
  cpSync(join(root, "packages/ikev2/src/registry"), join(copy, "packages/ikev2/src/registry"), { recursive: true });
  return copy;
}

function generate(
  base: string,
  ...args: readonly string[]
): { readonly status: number | null; readonly stderr: string } {
  return spawnSync(process.execPath, [join(base, "registry", "generate.js"), ...args], { encoding: "utf8" });
}
