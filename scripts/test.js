// Runs the tests: every packages/*/test/**/*.test.ts, lab and registry tests excluded unless named.
//   node scripts/test.js [--long] [--require-all] [GLOB…]
// --long sets KARP_LONG=1, and runs those files that are more then: property tests with their full number of cases, a real BIRD.
// --require-all: what this machine lacks is a failure, not a skip; but tests of a kernel with TCP-AO run in the lab (npm run test:lab).
// Ends with one plain line "tests: N passed, N failed, N skipped" and fails when nothing ran.
import "./nodeVersion.js";
// Not by name: an old Node.js would refuse to link what it does not have, before it could say so
import fs from "node:fs";
import path from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

const args = process.argv.slice(2);
const long = args.includes("--long");
const requireAll = args.includes("--require-all");
const named = args.filter((arg) => !arg.startsWith("--"));
const found = fs.globSync(named.length > 0 ? named : ["packages/*/test/**/*.test.ts"]).sort();
const files = long && named.length === 0 ? found.filter(hasLongPart) : found;
if (files.length === 0) {
  console.error("no test file matches; nothing was tested");
  process.exit(1);
}
if (long) process.env["KARP_LONG"] = "1";

// Processes that tests start are the bundle, as it is published: from its sources each takes twice as long to start
const cache = fileURLToPath(new URL("../node_modules/.cache/", import.meta.url));
fs.mkdirSync(cache, { recursive: true });
const built = fs.mkdtempSync(path.join(cache, "karp-test-"));
fs.chmodSync(built, 0o755); // users other than root run it too
process.on("exit", () => fs.rmSync(built, { recursive: true, force: true }));
process.env["KARP_TEST_PROGRAM"] = await (await import("./bundle.js")).bundleProgram(built);

const counts = { passed: 0, failed: 0, skipped: 0 };
/** @type {string[]} */
const skips = [];
const events = run({ files, concurrency: 2, timeout: long ? 1_800_000 : 300_000 });
events.on("test:summary", (summary) => {
  if (summary.file !== undefined) return;
  counts.passed = summary.counts.passed;
  // The summary has no number of failures: they are what is left.
  counts.failed = summary.counts.tests - summary.counts.passed - summary.counts.skipped - summary.counts.todo;
  counts.skipped = summary.counts.skipped + summary.counts.todo;
});
events.on("test:pass", (test) => {
  if (test.skip !== undefined && test.skip !== false) skips.push(`${test.name}: ${String(test.skip)}`);
});
events.compose(spec).pipe(process.stdout);
events.on("end", () => {
  // The reporter is still writing: the closing line comes when everything else is out.
  setImmediate(() => {
    for (const skip of skips) console.log(`SKIPPED ${skip}`);
    console.log(`tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
    if (counts.failed > 0 || counts.passed === 0) process.exitCode = 1;
    // What another suite runs: those of such a kernel the lab, the rest the long part, which comes when there is a BIRD.
    const elsewhere = long ? /kernel has no TCP-AO/ : /kernel has no TCP-AO|part of the long tests|no BIRD/;
    const lacking = skips.filter((skip) => !elsewhere.test(skip));
    if (!requireAll || lacking.length === 0) return;
    console.error(`--require-all: ${lacking.length} skipped for what this machine lacks:\n${lacking.join("\n")}`);
    process.exitCode = 1;
  });
});

/** What `npm test` has shown already need not be shown again. @param {string} file */
function hasLongPart(file) {
  return /KARP_LONG|KARP_TEST_BIRD/.test(fs.readFileSync(file, "utf8"));
}
