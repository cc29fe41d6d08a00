// Runs the cases, inside of the namespaces, and says how they went.
import { globSync } from "node:fs";
import { basename } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

const names = process.argv.slice(2);
const all = globSync(fileURLToPath(new URL("cases/*.test.ts", import.meta.url))).sort();
const files = names.length === 0 ? all : all.filter((file) => names.includes(basename(file, ".test.ts")));

const counts = { passed: 0, failed: 0, skipped: 0 };
const events = run({ files, isolation: "none", timeout: 60_000 });
events.on("test:summary", (summary) => {
  if (summary.file !== undefined) return;
  counts.passed = summary.counts.passed;
  counts.skipped = summary.counts.skipped + summary.counts.todo;
  // The summary has no number of failures: they are what is left.
  counts.failed = summary.counts.tests - counts.passed - counts.skipped;
});
events.compose(spec).pipe(process.stdout);
events.on("end", () => {
  // The reporter is still writing: the closing line comes when everything else is out.
  setImmediate(() => {
    const { passed, failed, skipped } = counts;
    console.log(`interop: ${passed} passed, ${failed} failed, ${skipped} skipped`);
    process.exit(failed > 0 || passed === 0 ? 1 : 0);
  });
});
