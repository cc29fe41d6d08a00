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

/** Rows of the tables, a text a cell. */
function badInputs(): readonly (readonly string[])[] {
  return readFileSync(join(guide, "bad-inputs.md"), "utf8")
    .split("\n")
    .filter((line) => /^\|(?! input \||---)/.test(line))
    .map((line) => line.replace(/^\| | \|$/g, "").split(" | "));
}

/** What the first cell of some row begins with. */
const REQUIRED_BAD_INPUTS = [
  "bad YAML",
  "unknown word",
  "duplicate peer",
  "bad address",
  "missing or empty secret file",
  "world-readable secret file",
  "weak PSK",
  "one PSK for two peers",
  "wrong PSK",
  "expired certificate",
  "untrusted certificate",
  "wrong identity",
  "another identity rekeying our MKT",
  "relayed own messages",
  "traffic selectors that are not the peer's",
  "no common proposal",
  "no free KeyID",
  "port in use",
  "no permission for the port",
  "no permission for the store",
  "store locked",
  "peer silent",
  "peer restarting",
  "clock jump",
  "BIRD too old",
  "BIRD's include missing: the line",
  "BIRD's include missing: the file",
];

test("the guide has a row for each bad input that it must have", () => {
  const inputs = badInputs().map(([input = ""]) => input);
  const missing = REQUIRED_BAD_INPUTS.filter((required) => !inputs.some((input) => input.startsWith(required)));
  assert.deepEqual(missing, []);
});

test("each bad input of the guide has its test", () => {
  for (const cells of badInputs()) {
    assert.equal(cells.length, 4, cells.join(" | "));
    const row = cells.at(-1) ?? "";
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
