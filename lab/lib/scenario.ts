import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Lab } from "./lab.ts";

/** `lab/scenarios/<name>/scenario.ts` exports one of these as `scenario`. */
export interface Scenario {
  /** One line for `--list`. */
  readonly title: string;
  /** The guest is ended after this time; user-mode Linux. Under qemu six times as long. */
  readonly timeoutSeconds: number;
  /** Only in the suite's long part (`--long`). */
  readonly long?: true;
  /** In the long part it runs a second time, under qemu with Debian's stock kernel. */
  readonly alsoUnderQemu?: true;
  /** The host builds the karp before this one first; see `previousProgram`. */
  readonly needsPrevious?: true;
  /** Pages of docs/guide that it executes as a whole; see `guidePage.ts`. */
  readonly shows?: readonly string[];
  /** Of the guest; default 1024. */
  readonly memoryMegabytes?: number;
  /** Runs inside the guest. */
  run(lab: Lab): Promise<void>;
}

const FOLDER = join(import.meta.dirname, "../scenarios");

export function scenarioNames(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => existsSync(join(FOLDER, name, "scenario.ts")))
    .sort();
}

/** @throws Error that lists the known names when there is no such scenario. */
export async function loadScenario(name: string): Promise<Scenario> {
  if (!scenarioNames().includes(name)) {
    throw new Error(`there is no scenario "${name}"; there are: ${scenarioNames().join(", ")}`);
  }
  return await importScenario(join(FOLDER, name, "scenario.ts"));
}

/** @throws Error when there is none in the file */
export async function importScenario(file: string): Promise<Scenario> {
  const module: unknown = await import(pathToFileURL(file).href);
  if (!isScenarioModule(module)) throw new Error(`${file} does not export a scenario`);
  return module.scenario;
}

function isScenarioModule(module: unknown): module is { scenario: Scenario } {
  if (typeof module !== "object" || module === null || !("scenario" in module)) return false;
  const { scenario } = module;
  return typeof scenario === "object" && scenario !== null && "title" in scenario && "run" in scenario;
}
