import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfiguration } from "../../src/config/loadConfiguration.ts";
import { configurationJsonSchema, referenceTables } from "../../src/config/reference.ts";
import { drivers } from "../../src/drivers/index.ts";
import { Project, validAt } from "./project.ts";

const root = join(import.meta.dirname, "../../../..");
const guide = join(root, "docs/guide");
const schemas = Object.fromEntries(Object.entries(drivers).map(([name, { settingsSchema }]) => [name, settingsSchema]));
const toUpdate = "run the tests once with KARP_UPDATE_DOCS=1, and look at what changed";

test("the reference in the guide is what the schema says", () => {
  const path = join(guide, "configuration.md");
  const text = readFileSync(path, "utf8");
  const tables = referenceTables(schemas);
  const used = new Set<string>();
  const expected = text.replace(/<!-- table: (.+) -->\n[\s\S]*?<!-- end -->/g, (_, name: string) => {
    used.add(name);
    return `<!-- table: ${name} -->\n${tables.get(name) ?? `no table ${name}`}\n<!-- end -->`;
  });
  assert.deepEqual([...used].sort(), [...tables.keys()].sort(), "every table has its place in the guide");
  update(path, expected);
  assert.equal(readFileSync(path, "utf8"), expected, toUpdate);
});

test("the JSON Schema beside the guide is the schema", () => {
  const path = join(guide, "karp.schema.json");
  const expected = configurationJsonSchema(schemas);
  update(path, expected);
  assert.equal(readFileSync(path, "utf8"), expected, toUpdate);
});

test("the guide's example loads without a complaint", async (t) => {
  const [, yaml = ""] =
    /```yaml\n(# \/etc\/karp[\s\S]*?)```/.exec(readFileSync(join(guide, "configuration.md"), "utf8")) ?? [];
  const project = new Project(t);
  project.write("karp.yaml", yaml.replaceAll("/etc/karp/r1", "r1").replaceAll("/etc/karp/ca", "ca"), 0o644);
  const result = await loadConfiguration(project.path("karp.yaml"), {
    driverSchemas: schemas,
    nowMilliseconds: validAt,
  });
  assert.ok(result.ok);
  assert.deepEqual(result.warnings, []);
});

test("each bad input of the guide has its test", () => {
  const rows = readFileSync(join(guide, "bad-inputs.md"), "utf8")
    .split("\n")
    .filter((line) => /^\|(?! input \||---)/.test(line))
    .map((line) => line.split(" | ").at(-1)?.replace(/ \|$/, "") ?? "");
  assert.ok(rows.length >= 30, `${rows.length} rows`);
  for (const row of rows) {
    const [, file = "", name = ""] = /^(\S+\.test\.ts): (.+)$/.exec(row) ?? [];
    const path = [join(root, "packages", file), join(root, file)].find(existsSync) ?? "";
    assert.ok(file !== "" && path !== "", `no such file: ${row}`);
    const source = readFileSync(path, "utf8");
    const isThere = [`test(${JSON.stringify(name)}`, `  ${JSON.stringify(name)},\n`].some((call) =>
      source.includes(call),
    );
    assert.ok(isThere, `${file} has no test of this name: ${name}`);
  }
});

function update(path: string, content: string): void {
  if (process.env["KARP_UPDATE_DOCS"] === "1") writeFileSync(path, content);
}
