import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { defaultSettings } from "../../src/index.ts";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

test("the README's example is the one that runs here, and both ends print the same key", async (t) => {
  const example = readFileSync(new URL("example.ts", import.meta.url), "utf8");
  assert.ok(readme.includes(`\`\`\`ts\n${example}\`\`\`\n`), "README.md and example.ts differ");
  const printed = t.mock.method(console, "log", () => {});
  await import("./example.ts");
  const [atResponder, atInitiator, ...more] = printed.mock.calls.map((call) => String(call.arguments[0]));
  assert.deepEqual(more, []);
  const [, key] = /^10\.0\.0\.2: SendID 22, RecvID 11, key ([0-9a-f]{32})$/.exec(atResponder ?? "") ?? [];
  assert.ok(key, atResponder);
  assert.equal(atInitiator, `10.0.0.1: SendID 11, RecvID 22, key ${key}`);
});

test("the README names every setting", () => {
  for (const name of Object.keys(defaultSettings)) assert.ok(readme.includes(`\`${name}\``), name);
});
