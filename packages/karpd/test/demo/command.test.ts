import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { DemoSummary } from "../../src/cli/demo/runDemo.ts";
import { type Ended, Karp, karp, until } from "../daemon/site.ts";

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

  test("as it is typed: two rollovers in less than 30 seconds, exit status 0", {
    skip: process.env["KARP_LONG"] === "1" ? false : "20 s: part of the long tests",
  }, async (t) => {
    const from = performance.now();
    const ended = await start(t, temporary(t), "--json").ended;
    const seconds = (performance.now() - from) / 1000;
    t.diagnostic(`${seconds.toFixed(1)} s`);
    assert.equal(ended.code, 0, ended.stderr);
    assert.ok(summaryOf(ended).rollovers >= 2);
    assert.ok(seconds < 30, `${seconds} s`);
  });
});
