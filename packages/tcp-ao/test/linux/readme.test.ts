import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { onKernel } from "./kernelSupport.ts";

const root = join(import.meta.dirname, "../..");
const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```ts\n(.*?)^```$/gms)].map(
  ([, code = ""]) => code,
);

test("README: the example for authors of routing daemons runs", { ...onKernel, timeout: 60_000 }, (context) => {
  const [example, ...others] = blocks.filter((code) => code.includes("new PeerKeys("));
  assert.ok(example && others.length === 0);
  const folder = mkdtempSync(join(tmpdir(), "karp-readme-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const program = join(folder, "example.mts");
  writeFileSync(program, example.replaceAll("@karp/tcp-ao/linux", pathToFileURL(join(root, "linux/index.ts")).href));
  const output = execFileSync(process.execPath, [program], { encoding: "utf8" });
  assert.equal(output, "sends with 62, asks for 85, has 1 key; bad segments: 0\nkeyInUse\n");
});

test("README: every name that it imports is exported", async () => {
  const doors = { "@karp/tcp-ao": "src", "@karp/tcp-ao/node": "node", "@karp/tcp-ao/linux": "linux" } as const;
  const imports = blocks.flatMap((code) => [...code.matchAll(/import \{ (.*?) \} from "(@karp\/tcp-ao.*?)"/g)]);
  assert.ok(imports.length >= 4);
  for (const [, names = "", door = ""] of imports) {
    const exported: object = await import(
      pathToFileURL(join(root, doors[door as keyof typeof doors], "index.ts")).href
    );
    const values = names.split(", ").filter((name) => !name.startsWith("type "));
    for (const name of values) assert.ok(name in exported, `${door} exports ${name}`);
  }
});
