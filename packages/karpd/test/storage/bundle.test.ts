import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "esbuild";
import { temporaryDirectory } from "./stores.ts";

const storage = join(import.meta.dirname, "../../src/storage");

test("bundled, the worker is found beside the main file as storage-worker.js", async (t) => {
  const directory = temporaryDirectory(t);
  await build({
    entryPoints: { main: join(storage, "openKeyStore.ts"), "storage-worker": join(storage, "worker.ts") },
    outdir: directory,
    bundle: true,
    platform: "node",
    format: "esm",
  });
  assert.deepEqual(readdirSync(directory).sort(), ["main.js", "storage-worker.js"]);
  const program = `
    const { openKeyStore } = await import(${JSON.stringify(join(directory, "main.js"))});
    const keyEncryptionKey = { expose: (use) => use(new Uint8Array(32)) };
    const store = await openKeyStore({ path: ${JSON.stringify(join(directory, "keys.db"))}, keyEncryptionKey });
    await store.write([{ kind: "setFact", name: "bundled", value: "yes" }]);
    console.log((await store.read()).facts.get("bundled"));
    await store.close();`;
  const child = spawnSync(process.execPath, ["--input-type=module", "--eval", program], { cwd: directory });
  assert.equal(child.stdout.toString(), "yes\n", child.stderr.toString());
});
