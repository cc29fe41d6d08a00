// Source: BIRD User's Guide, section BGP, `authentication ao` and `keys`; what BIRD 2.20 and 3.4 themselves take is tried by lab/scenarios/solo-*.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { formatBird } from "../../src/handout/bird.ts";
import { FormatRefused, formOf } from "../../src/handout/form.ts";
import { assertGolden, handoutOf } from "./handout.ts";

const text = formatBird(formOf(handoutOf(), "r1.example.net"));

test("BIRD: a script, as BIRD's keys have no dates", () => {
  assertGolden("bird.sh", text);
  assert.throws(() => formatBird(formOf(handoutOf({ coversTcpOptions: false }), "r1")), FormatRefused);
});

test("BIRD: the script writes what is due at each moment, and has it read once", (t: TestContext) => {
  const folder = mkdtempSync(join(tmpdir(), "karp-handout-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [script, file, log] = [join(folder, "keys.sh"), join(folder, "keys.conf"), join(folder, "log")];
  writeFileSync(script, text);
  writeFileSync(join(folder, "birdc"), `#!/bin/sh\necho "$@" >> ${log}\n`, { mode: 0o755 });
  const run = (at: number): readonly string[] => {
    const environment = { PATH: process.env["PATH"] ?? "", NOW: String(at / 1000), BIRDC: join(folder, "birdc") };
    const { status, stderr } = spawnSync("sh", [script, file], { env: environment, encoding: "utf8" });
    assert.equal(status, 0, stderr);
    return [...readFileSync(file, "utf8").matchAll(/send id (\d+); recv id (\d+); .*?;( preferred;)? }/g)].map(
      ([, send, recv, preferred]) => `${send}/${recv}${preferred === undefined ? "" : " preferred"}`,
    );
  };
  const day = 86_400_000;
  const start = Date.UTC(2026, 10, 21, 8, 30);
  assert.deepEqual(run(start - day), ["21/11 preferred"], "mirrored; the first one before its date too");
  assert.deepEqual(run(start + 37 * day), ["21/11 preferred"]);
  assert.deepEqual(run(start + 38 * day), ["21/11 preferred", "22/12"], "accepted a week before");
  assert.deepEqual(run(start + 45 * day), ["21/11", "22/12 preferred"]);
  assert.deepEqual(run(start + 45 * day), ["21/11", "22/12 preferred"]);
  assert.deepEqual(run(start + 53 * day), ["22/12 preferred"]);
  assert.deepEqual(run(start + 400 * day), ["22/12 preferred"], "never without a key");
  assert.deepEqual(readFileSync(log, "utf8").trim().split("\n"), Array(4).fill("configure"), "only when it changed");
  assert.equal(statSync(file).mode & 0o077, 0);
  assert.ok(!existsSync(`${file}.new`));
});
