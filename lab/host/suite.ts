// All scenarios, some at a time, and the closing line.
import { cpus } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { loadScenario, scenarioNames } from "../lib/scenario.ts";
import type { Machine } from "./guest.ts";
import { MissingError, UsageError } from "./need.ts";
import { type Outcome, runScenario, type Wish } from "./scenarioRun.ts";

/** Makes a machine, or throws MissingError. */
export type MachineMaker = () => Promise<Machine>;

export interface SuiteOptions {
  readonly requireAll: boolean;
  readonly long: boolean;
  readonly jobs: number;
  readonly uml: MachineMaker;
  readonly qemu: MachineMaker;
}

interface Planned extends Wish {
  readonly machine: MachineMaker;
}

/** @returns the exit code */
export async function runSuite(options: SuiteOptions, say: (line: string) => void): Promise<number> {
  const queue = await plan(options);
  const outcomes: Outcome[] = [];
  const run = async (next: Planned): Promise<void> => {
    const outcome = await runOne(next, options);
    outcomes.push(outcome);
    report(outcome, say);
  };
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await run(next);
  };
  await Promise.all([...Array.from({ length: options.jobs }, worker), fillIn(queue, run)]);
  return close(outcomes, options.requireAll, say);
}

async function plan({ long, uml, qemu }: SuiteOptions): Promise<Planned[]> {
  const planned: Planned[] = [];
  for (const name of scenarioNames()) {
    const scenario = await loadScenario(name);
    if (scenario.long && !long) continue;
    const wish = { scenario: name, timeoutSeconds: scenario.timeoutSeconds };
    planned.push({ ...wish, label: name, machine: uml });
    if (long && scenario.alsoUnderQemu) planned.push({ ...wish, label: `${name}-qemu`, machine: qemu });
  }
  // Those that may take longest begin first, so that none is left alone at the end
  return planned.sort((one, other) => other.timeoutSeconds - one.timeoutSeconds);
}

const IDLE_SHARE = 0.4;
const IDLE_SECONDS = 5;

/** One more at a time while the others only let time pass; from the queue's end, where the short ones stand. */
async function fillIn(queue: Planned[], run: (next: Planned) => Promise<void>): Promise<void> {
  while (queue.length > 0) {
    const before = processorTimes();
    await delay(IDLE_SECONDS * 1000);
    const now = processorTimes();
    if ((now.idle - before.idle) / (now.all - before.all) < IDLE_SHARE) continue;
    const next = queue.pop();
    if (next !== undefined) await run(next);
  }
}

/** Of all processors, since the machine's start. */
function processorTimes(): { readonly idle: number; readonly all: number } {
  const times = cpus().map((one) => one.times);
  const all = times.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0);
  return { idle: times.reduce((sum, { idle }) => sum + idle, 0), all };
}

async function runOne({ machine, ...wish }: Planned, { requireAll }: SuiteOptions): Promise<Outcome> {
  const began = performance.now();
  try {
    const outcome = await runScenario(await machine(), wish, () => {});
    if (outcome.status !== "skipped" || !requireAll) return outcome;
    return { ...outcome, status: "failed", reason: `skipped, but all are required: ${outcome.reason}` };
  } catch (error) {
    const missing = error instanceof MissingError;
    const status = missing && !requireAll ? "skipped" : "failed";
    const foreseen = missing || error instanceof UsageError;
    const reason = foreseen ? error.message : String(error instanceof Error ? error.stack : error);
    const seconds = (performance.now() - began) / 1000;
    return { label: wish.label, status, reason, failures: [], assertions: 0, seconds, out: "" };
  }
}

/** One line per scenario; what failed or is missing in full. */
export function report(outcome: Outcome, say: (line: string) => void): void {
  const { label, status, seconds, assertions, failures, reason, out } = outcome;
  const word = status === "skipped" ? "SKIPPED" : status;
  say(`lab: ${label}: ${word} in ${seconds.toFixed(1)} s, ${assertions} assertions${out ? `, ${out}` : ""}`);
  if (reason) say(`lab: ${label}: ${status === "skipped" ? "NOT RUN. " : ""}${reason}`);
  for (const { name, detail, at } of failures) say(`lab: ${label}: NOT OK at ${at} s: ${name}: ${detail}`);
}

function close(outcomes: readonly Outcome[], requireAll: boolean, say: (line: string) => void): number {
  const count = (wanted: Outcome["status"]): number => outcomes.filter(({ status }) => status === wanted).length;
  const [passed, failed, skipped] = [count("passed"), count("failed"), count("skipped")];
  if (passed + failed === 0) say("lab: nothing ran, and that is a failure: see above what is missing");
  say(`lab: ${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed > 0 || passed === 0 || (requireAll && skipped > 0) ? 1 : 0;
}
