import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { DemoSummary } from "../../src/cli/demo/runDemo.ts";
import { type Ended, Karp, karp, until } from "../daemon/site.ts";

const root = join(import.meta.dirname, "../../../..");
const isLong = process.env["KARP_LONG"] === "1";

/** A place for the demo's files that can be looked at afterwards. */
function temporary(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "karp-demo-test-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function start(t: TestContext, place: string, ...words: readonly string[]): Karp {
  return new Karp(t, [karp, "demo", ...words], { env: { ...process.env, TMPDIR: place } });
}

/** Processes that work in this place. */
function processesAt(place: string): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(place);
      } catch {
        return false;
      }
    });
}

function summaryOf({ stdout }: Ended): DemoSummary {
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as DemoSummary;
}

describe("karp demo as a command", { concurrency: 3 }, () => {
  test("Ctrl-C ends it cleanly: the summary, no daemon and no file is left", async (t) => {
    const place = temporary(t);
    const demo = start(t, place, "--json", "--seconds", "300");
    await until(
      () => /"kind":"rolloverCompleted"/.test(demo.stdout),
      () => `${demo.stdout}${demo.stderr}`,
      40_000,
    );
    assert.equal(processesAt(place).length, 2, "two daemons");
    demo.child.kill("SIGINT");
    const ended = await demo.ended;
    assert.equal(ended.signal, null);
    assert.equal(ended.code, 1, "two rollovers were not reached");
    const summary = summaryOf(ended);
    assert.deepEqual([summary.event, summary.segmentsRejected, summary.gaps], ["summary", 0, 0]);
    assert.match(ended.stderr, /^karp demo: ended early: only [01] rollovers? at both ends \(2 are needed\)$/m);
    assert.doesNotMatch(ended.stderr, /^ {4}at /m);
    assert.deepEqual(processesAt(place), []);
    // Node.js keeps its cache of compiled code there as well
    assert.deepEqual(
      readdirSync(place).filter((name) => name.startsWith("karp-")),
      [],
    );
  });

  test("killed with SIGKILL: its daemons end by themselves", async (t) => {
    const place = temporary(t);
    const demo = start(t, place, "--json", "--seconds", "300");
    await until(
      () => /"event":"started"/.test(demo.stdout),
      () => `${demo.stdout}${demo.stderr}`,
      40_000,
    );
    assert.equal(processesAt(place).length, 2, "two daemons");
    demo.child.kill("SIGKILL");
    await until(
      () => processesAt(place).length === 0,
      () => `${processesAt(place).join(", ")} still run`,
    );
  });

  test("a reader that has seen enough ends it as cleanly as Ctrl-C", async (t) => {
    const place = temporary(t);
    const demo = start(t, place, "--json", "--seconds", "300");
    await until(
      () => /"event":"started"/.test(demo.stdout),
      () => `${demo.stdout}${demo.stderr}`,
      40_000,
    );
    demo.child.stdout?.destroy();
    const { code, stderr } = await demo.ended;
    assert.equal(code, 1);
    assert.match(stderr, /^karp demo: ended early: /m);
    assert.doesNotMatch(stderr, /^ {4}at /m);
    assert.deepEqual(processesAt(place), []);
    assert.deepEqual(
      readdirSync(place).filter((name) => name.startsWith("karp-")),
      [],
    );
  });

  test("too short a time: the summary, the reason, exit status 1; every line is JSON", async (t) => {
    const ended = await start(t, temporary(t), "--json", "--seconds", "1").ended;
    assert.equal(ended.code, 1);
    const lines = ended.stdout.trimEnd().split("\n");
    const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
    assert.equal(events[0], "started");
    assert.equal(events.at(-1), "summary");
    assert.ok(events.includes("state") && events.includes("event"));
    assert.match(ended.stderr, /only 0 rollovers at both ends \(2 are needed\)/);
  });

  test("without --json: lines for people, without escape codes where there is no terminal", async (t) => {
    const ended = await start(t, temporary(t), "--seconds", "1").ended;
    assert.match(ended.stdout, /^karp demo: r1 on 127\.0\.0\.1, r2 on 127\.0\.0\.2\n(This kernel has|.*no TCP-AO)/);
    assert.match(ended.stdout, /^\d\d:\d\d:\d\d\.\d{3} r[12] a new key is wanted: there is no key yet$/m);
    assert.ok(!ended.stdout.includes("\u001b"));
  });
});

// One after the other: the first looks at the time that it takes
describe("karp demo as the README says", { skip: isLong ? false : "20 s each: part of the long tests" }, () => {
  test("as JSON: two rollovers in less than 30 seconds, exit status 0", async (t) => {
    const from = performance.now();
    const ended = await start(t, temporary(t), "--json").ended;
    const seconds = (performance.now() - from) / 1000;
    t.diagnostic(`${seconds.toFixed(1)} s`);
    assert.equal(ended.code, 0, ended.stderr);
    assert.ok(summaryOf(ended).rollovers >= 2);
    assert.ok(seconds < 30, `${seconds} s`);
  });

  test("for people on a pipe: two rollovers, said in the end, exit status 0", async (t) => {
    const ended = await start(t, temporary(t)).ended;
    assert.equal(ended.code, 0, ended.stderr);
    assert.ok(!ended.stdout.includes("\u001b"));
    assertSuccess(ended);
  });

  test("on a terminal: `npm run demo` draws, and ends with the same, exit status 0", async (t) => {
    const path = `${dirname(process.execPath)}:${process.env["PATH"]}`;
    const env = { ...process.env, PATH: path, TMPDIR: temporary(t), npm_config_progress: "false" };
    const words = ["-qec", `cd '${root}' && npm run demo`, "/dev/null"];
    const ended = await new Karp(t, words, { node: "script", env }).ended;
    assert.equal(ended.code, 0, `${ended.stdout.slice(-2000)}${ended.stderr}`);
    assert.ok(/\[\d+A$/.test(ended.stdout.split("\u001b[2Kr1: ")[1] ?? ""), "drawn over itself");
    assert.match(ended.stdout, /STATE +SEND +RECV +FINGERPRINT/);
    assertSuccess({ ...ended, stdout: ended.stdout.replaceAll("\r\n", "\n") });
  });
});

/** The last two lines: one for people, and the summary. */
function assertSuccess(ended: Ended): void {
  const summary = summaryOf(ended);
  assert.ok(summary.rollovers >= 2, JSON.stringify(summary));
  assert.deepEqual([summary.event, summary.segmentsRejected, summary.gaps], ["summary", 0, 0]);
  const sentence = `${summary.rollovers} rollovers at both ends with the same keys; no segment was rejected, none was missed.`;
  assert.ok(ended.stdout.trimEnd().split("\n").at(-2)?.startsWith(sentence), ended.stdout.slice(-500));
}
