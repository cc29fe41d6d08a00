// One command for all that must hold before a change lands, the same in CI.
//   node scripts/verify.js [--no-tests]
import "./nodeVersion.js";
import { spawnSync } from "node:child_process";
// Not by name: an old Node.js would refuse to link what it does not have, before it could say so
import fs from "node:fs";

const { readFileSync } = fs;

const bin = (/** @type {string} */ name) => `node_modules/.bin/${name}`;
const typeProjects = fs.globSync("packages/*/tsconfig*.json").sort();

/** @type {readonly [name: string, check: () => boolean][]} */
const checks = [
  ["format and lint", () => run(bin("biome"), ["check", "."])],
  ...["tsconfig.json", ...typeProjects].map(
    (project) => /** @type {[string, () => boolean]} */ ([`types ${project}`, () => run(bin("tsc"), ["-p", project])]),
  ),
  ["promises and switches", () => run(bin("eslint"), ["."])],
  ["import directions", importDirections],
  ["no clock and no dice in the cores", coresArePure],
  ["lockfile complete", lockfileIsComplete],
  ["version in one place", versionIsOne],
  ["dead code", () => run(bin("knip"), [])],
  ["registry up to date", () => run(process.execPath, ["registry/generate.js", "--check"])],
  ...(process.argv.includes("--no-tests")
    ? []
    : [/** @type {[string, () => boolean]} */ (["tests", () => run(process.execPath, ["scripts/test.js"])])]),
];

let failed = 0;
for (const [name, check] of checks) {
  const started = performance.now();
  const ok = check();
  if (!ok) failed++;
  console.log(`${ok ? "ok  " : "FAIL"} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
}
console.log(`verify: ${checks.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** @param {string} command @param {string[]} args */
function run(command, args) {
  const done = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (done.status !== 0) console.log(done.stdout + done.stderr + (done.error ? String(done.error) : ""));
  return done.status === 0;
}

/** dependency-cruiser says "no violations" also when it understood no file at all: the count is part of the check. */
function importDirections() {
  const done = spawnSync(
    bin("depcruise"),
    ["packages", "--include-only", "^packages/[^/]+/(src|node|linux)/|^@karp/", "--output-type", "json"],
    {
      encoding: "utf8",
      maxBuffer: 1 << 28,
    },
  );
  if (done.status !== 0 && done.stdout === "") return fail(done.stderr);
  const { summary, modules } = JSON.parse(done.stdout);
  const expected = fs.globSync("packages/*/{src,node,linux}/**/*.ts").length;
  const cruised = modules.filter((/** @type {{ source: string }} */ module) => module.source.endsWith(".ts")).length;
  if (cruised < expected) return fail(`only ${cruised} of ${expected} modules were checked`);
  for (const violation of summary.violations)
    console.log(`  ${violation.rule.name}: ${violation.from} -> ${violation.to}`);
  console.log(`  ${cruised} modules checked`);
  return summary.error === 0;
}

function coresArePure() {
  const files = fs.globSync(["packages/{ikev2,tcp-ao}/src/**/*.ts", "packages/karpd/src/{core,ports}/**/*.ts"]);
  const impure = files.filter((file) =>
    /\bMath\.random\b|\bDate\b\s*[.(]|\bperformance\.|\bprocess\.|from "node:/.test(readFileSync(file, "utf8")),
  );
  for (const file of impure) console.log(`  ${file}: a clock, dice or Node in a core`);
  return files.length > 0 && impure.length === 0;
}

/**
 * `npm ci` refuses a lockfile that leaves out a package of another platform, and `npm install` leaves one out where the
 * registry at hand does not have it.
 */
function lockfileIsComplete() {
  const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies ?? {}).filter(
      (name) =>
        packages[`node_modules/${name}`] === undefined && packages[`${path}/node_modules/${name}`] === undefined,
    ),
  );
  for (const name of missing)
    console.log(`  package-lock.json lacks ${name}: take its entry from the lockfile's history`);
  return missing.length === 0;
}

function versionIsOne() {
  const versions = ["package.json", ...fs.globSync("packages/*/package.json")].map(
    (file) => JSON.parse(readFileSync(file, "utf8")).version,
  );
  const said = /version = "([^"]+)"/.exec(readFileSync("packages/karpd/src/version.ts", "utf8"))?.[1];
  return new Set([...versions, said]).size === 1;
}

/** @param {string} why */
function fail(why) {
  console.log(`  ${why}`);
  return false;
}
