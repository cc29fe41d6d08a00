// One suite for all drivers, each with the cheapest routing daemon behind it that is real enough.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { drivers } from "../../../src/drivers/index.ts";
import { context } from "../support.ts";
import { kind as bird } from "./bird.ts";
import { contract } from "./contract.ts";
import { kind as endpoint } from "./endpoint.ts";
import { kind as exec } from "./exec.ts";
import { kind as frr } from "./frr.ts";
import { kind as gobgp } from "./gobgp.ts";
import { kind as keychain } from "./keychain.ts";
import { kind as linux } from "./linux.ts";
import type { Kind } from "./subject.ts";

/** A kind of driver that is missing here does not compile. */
const kinds: Readonly<Record<keyof typeof drivers, Kind>> = { bird, endpoint, exec, frr, gobgp, keychain, linux };

const sources = join(import.meta.dirname, "../../../src/drivers");
/** Every kind of driver that there is, by the word at `driver:`. */
const names = Object.keys(drivers).sort();

for (const [name, kind] of Object.entries(kinds)) contract(name, kind);

test("every folder of a driver is a kind, and every kind has its folder", () => {
  const folders = readdirSync(sources, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const ofDrivers = folders.map((entry) => entry.name).filter((name) => existsSync(join(sources, name, "driver.ts")));
  assert.deepEqual(ofDrivers.sort(), names);
});

test("same file names in each: driver.ts, settings.ts, README.md with the same chapters", async () => {
  const chapters = ["What it does", "Settings", "What it observes", "Limits"];
  for (const name of names) {
    const readme = readFileSync(join(sources, name, "README.md"), "utf8");
    assert.match(readme, new RegExp(`^# ${name}: `), name);
    const found = [...readme.matchAll(/^## (.*)$/gm)].map(([, title]) => title ?? "");
    assert.deepEqual(
      found.filter((title) => chapters.includes(title)),
      chapters,
      name,
    );
    const settings = (await import(join(sources, name, "settings.ts"))) as Record<string, unknown>;
    assert.ok("settingsSchema" in settings, name);
    const made = (await import(join(sources, name, "driver.ts"))) as Record<string, unknown>;
    assert.ok(`create${name.slice(0, 1).toUpperCase()}${name.slice(1)}Driver` in made, name);
  }
});

test("each driver calls itself by the word in the configuration, and its README names each of its words", () => {
  for (const [name, kind] of Object.entries(drivers)) {
    assert.equal(kind.create(context()).name, name);
    const readme = readFileSync(join(sources, name, "README.md"), "utf8");
    for (const word of Object.keys(kind.settingsSchema.properties))
      assert.ok(readme.includes(`\`${word}\``), `${name}: ${word}`);
  }
});

test("what a driver cannot do is not asked of it, and no situation is left out by all", () => {
  const [first, ...others] = Object.values(kinds).map(({ impossible }) => Object.keys(impossible));
  const everywhere = (first ?? []).filter((situation) => others.every((one) => one.includes(situation)));
  assert.deepEqual(everywhere, []);
});
