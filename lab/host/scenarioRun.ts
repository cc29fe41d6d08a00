// One scenario, from the host's side: output folder, guest, result.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Assertion, EXIT_SKIPPED, type ScenarioResult } from "../lib/result.ts";
import { loadScenario } from "../lib/scenario.ts";
import { type GuestEnd, type Machine, runGuest } from "./guest.ts";
import { ensurePrevious } from "./previous.ts";
import { ensureDriver, ensureProgram } from "./program.ts";

export const REPO = join(import.meta.dirname, "../..");
const OUT = join(REPO, "lab/.out");

export interface Outcome {
  /** The scenario's name, with the machine when it is not user-mode Linux. */
  readonly label: string;
  readonly status: "passed" | "failed" | "skipped";
  /** Why it was skipped or how it failed as a whole. */
  readonly reason: string;
  readonly failures: readonly Assertion[];
  readonly assertions: number;
  readonly seconds: number;
  readonly out: string;
}

export interface Wish {
  readonly scenario: string;
  readonly label: string;
  readonly timeoutSeconds: number;
}

export async function runScenario(machine: Machine, wish: Wish, onOutput: (text: string) => void): Promise<Outcome> {
  const began = performance.now();
  const { needsPrevious, memoryMegabytes } = await loadScenario(wish.scenario);
  if (needsPrevious) await previousIsThere();
  const out = makeOutFolder(wish.label);
  const { scenario, timeoutSeconds } = wish;
  const end = await runGuest(machine, {
    ...{ scenario, timeoutSeconds, repo: REPO, out, onOutput },
    program: await programIsThere(),
    driver: await driverIsThere(),
    ...(memoryMegabytes !== undefined && { memoryMegabytes }),
  });
  const result = readResult(out);
  const seconds = (performance.now() - began) / 1000;
  const failures = result?.assertions.filter(({ ok }) => !ok) ?? [];
  const assertions = result?.assertions.length ?? 0;
  return { label: wish.label, ...judge(end, result), failures, assertions, seconds, out };
}

let previous: Promise<void> | undefined;

/** Built once for all scenarios of a run. */
function previousIsThere(): Promise<void> {
  previous ??= ensurePrevious(REPO, (line) => process.stderr.write(`lab: ${line}\n`));
  return previous;
}

let program: Promise<string> | undefined;

/** One build for all scenarios of a run. */
function programIsThere(): Promise<string> {
  program ??= ensureProgram(REPO);
  return program;
}

let driver: Promise<string> | undefined;

function driverIsThere(): Promise<string> {
  driver ??= ensureDriver(REPO);
  return driver;
}

function makeOutFolder(label: string): string {
  const time = new Date()
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(":", "");
  for (let n = 1; ; n++) {
    const folder = join(OUT, `${label}-${time}${n === 1 ? "" : `.${n}`}`);
    if (existsSync(folder)) continue;
    mkdirSync(folder, { recursive: true });
    return folder;
  }
}

/** Passed needs three agreeing witnesses: the guest's exit code, a whole result file, and at least one assertion. */
function judge(end: GuestEnd, result: ScenarioResult | undefined): Pick<Outcome, "status" | "reason"> {
  if (end.timedOut) return { status: "failed", reason: "the time ran out and the guest was ended" };
  if (end.exitCode === undefined) {
    return {
      status: "failed",
      reason: `the guest ended without an exit code; its kernel's last words:\n${end.consoleTail}`,
    };
  }
  if (end.exitCode === EXIT_SKIPPED && result?.skipped !== undefined)
    return { status: "skipped", reason: result.skipped };
  if (end.exitCode === 0 && result?.passed && result.assertions.length > 0) return { status: "passed", reason: "" };
  return { status: "failed", reason: result ? "assertions failed" : `exit code ${end.exitCode} and no result` };
}

function readResult(out: string): ScenarioResult | undefined {
  const file = join(out, "result.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as ScenarioResult) : undefined;
}
