import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { hasAccess, writeSecretFile } from "../../src/drivers/atomicFile.ts";
import { createKeychainDriver } from "../../src/drivers/keychain/driver.ts";
import { context, folder, key, sessionOf } from "./support.ts";

const OLD = "the old key\n";
const NEW = "the new key\n";

test("killed between any two effects: the file is whole, old or new, and the next write leaves no key lying about", async (t) => {
  const directory = folder(t);
  const path = `${directory}/r2.conf`;
  const seen = new Set<string>();
  let steps = 0;
  for (let isKilled = true; isKilled; steps++) {
    await writeSecretFile({ path, text: OLD, mode: 0o600 });
    isKilled = writtenUntil(steps, path) === "SIGKILL";
    const text = readFileSync(path, "utf8");
    assert.ok([OLD, NEW].includes(text), `step ${steps}`);
    seen.add(text);
    for (const name of readdirSync(directory)) assert.equal(statSync(`${directory}/${name}`).mode & 0o077, 0, name);
    await writeSecretFile({ path, text: NEW, mode: 0o600 });
    assert.deepEqual(readdirSync(directory), ["r2.conf"], `step ${steps}`);
  }
  assert.equal(seen.size, 2, "killed before the rename and after it");
  assert.ok(steps >= 8, `${steps} steps`);
});

test("leftovers of other files are not touched", async (t) => {
  const directory = folder(t);
  const others = ["r2.conf.bak", "r2.conf.0123456789ab.tmp.old", "r21.conf.0123456789ab.tmp", "r2.conf.x.tmp"];
  for (const name of others) writeFileSync(`${directory}/${name}`, "");
  writeFileSync(`${directory}/r2.conf.0123456789ab.tmp`, OLD);
  await writeSecretFile({ path: `${directory}/r2.conf`, text: NEW, mode: 0o600 });
  assert.deepEqual(readdirSync(directory).sort(), [...others, "r2.conf"].sort());
});

test("a symbolic link is not replaced: keys would stay where it points to", async (t) => {
  const directory = folder(t);
  writeFileSync(`${directory}/elsewhere`, OLD, { mode: 0o600 });
  symlinkSync("elsewhere", `${directory}/r2.conf`);
  const written = writeSecretFile({ path: `${directory}/r2.conf`, text: NEW, mode: 0o600 });
  await assert.rejects(written, /r2\.conf is a symbolic link: name the file itself/);
  assert.equal(readFileSync(`${directory}/elsewhere`, "utf8"), OLD);
});

test("a directory that is a symbolic link is fine", async (t) => {
  const directory = folder(t);
  mkdirSync(`${directory}/real`);
  symlinkSync("real", `${directory}/link`);
  await writeSecretFile({ path: `${directory}/link/r2.conf`, text: NEW, mode: 0o600 });
  assert.equal(readFileSync(`${directory}/real/r2.conf`, "utf8"), NEW);
});

test("whatever the umask, the mode is the one that was asked for", async (t) => {
  const path = `${folder(t)}/r2.conf`;
  for (const umask of [0, 0o777]) {
    const before = process.umask(umask);
    await writeSecretFile({ path, text: NEW, mode: 0o640 }).finally(() => process.umask(before));
    assert.equal(statSync(path).mode & 0o777, 0o640);
    assert.ok(await hasAccess(path, { mode: 0o640 }));
    assert.ok(!(await hasAccess(path, { mode: 0o600 })));
  }
});

test("full disk: the old file stays, nothing is left beside it, and the driver tries again", {
  skip: process.getuid?.() !== 0 && "needs root to mount a small file system",
}, async (t) => {
  const directory = smallFileSystem(t);
  const session = sessionOf("keychain", { file: `${directory}/r2.json` });
  const driver = createKeychainDriver(context());
  assert.deepEqual(await driver.apply(session, [key(1, "preferred")]), { kind: "installed" });
  const before = readFileSync(`${directory}/r2.json`, "utf8");
  writeFileSync(`${directory}/ballast`, "");
  spawnSync("dd", ["if=/dev/zero", `of=${directory}/ballast`, "bs=4096"], { stdio: "ignore" });

  const both = [key(1, "preferred"), key(2, "accept")];
  const full = await driver.apply(session, both);
  assert.equal(full.kind, "pending");
  assert.match(JSON.stringify(full), /ENOSPC/);
  assert.equal(readFileSync(`${directory}/r2.json`, "utf8"), before);
  assert.deepEqual(readdirSync(directory).sort(), ["ballast", "r2.json"]);

  truncateSync(`${directory}/ballast`, 0);
  assert.deepEqual(await driver.apply(session, both), { kind: "installed" });
});

/** The signal that ended a process which writes NEW and dies before its effect number `step`; null: it came to its end. */
function writtenUntil(step: number, path: string): string | null {
  const program = `
    import fs from "node:fs/promises";
    import { syncBuiltinESMExports } from "node:module";
    let left = ${step};
    const dyingAt = (target, name) => {
      const original = target[name];
      target[name] = function (...values) {
        if (left-- === 0) process.kill(process.pid, "SIGKILL");
        return original.apply(this, values);
      };
    };
    const handle = await fs.open("/dev/null");
    for (const name of ["chmod", "writeFile", "sync", "close"]) dyingAt(Object.getPrototypeOf(handle), name);
    for (const name of ["open", "rename", "unlink"]) dyingAt(fs, name);
    syncBuiltinESMExports();
    const { writeSecretFile } = await import(${JSON.stringify(new URL("../../src/drivers/atomicFile.ts", import.meta.url).href)});
    await writeSecretFile({ path: ${JSON.stringify(path)}, text: ${JSON.stringify(NEW)}, mode: 0o600 });`;
  const { signal, status, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program]);
  assert.ok(signal === "SIGKILL" || status === 0, stderr.toString());
  return signal;
}

/** 64 KiB, gone after the test. */
function smallFileSystem(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "karp-driver-"));
  const { status, stderr } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", directory]);
  assert.equal(status, 0, stderr.toString());
  t.after(() => {
    spawnSync("umount", ["-l", directory]);
    rmSync(directory, { recursive: true });
  });
  return directory;
}
