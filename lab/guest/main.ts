// Runs one scenario inside the guest: LAB_OUT is where results go, LAB_REPO the working tree, and the scenarios stand beside.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { guidePage } from "../lib/guidePage.ts";
import { errorText, Lab, SkipError } from "../lib/lab.ts";
import { EXIT_SKIPPED } from "../lib/result.ts";
import { importScenario } from "../lib/scenario.ts";

async function main(name: string): Promise<number> {
  const lab = new Lab(name, {
    repo: environment("LAB_REPO"),
    program: environment("LAB_PROGRAM"),
    out: environment("LAB_OUT"),
  });
  try {
    const scenario = await importScenario(join(import.meta.dirname, "scenarios", `${name}.js`));
    lab.step(scenario.title);
    await scenario.run(lab);
    for (const name of scenario.shows ?? []) guidePage(lab, name).assertShown();
  } catch (error) {
    if (error instanceof SkipError) lab.markSkipped(error.message);
    else lab.check("the scenario ran to its end", false, errorText(error));
  }
  await lab.cleanUp();
  const result = lab.result();
  writeFileSync(join(lab.out, "result.json"), `${JSON.stringify(result, undefined, 2)}\n`);
  if (result.skipped !== undefined) return EXIT_SKIPPED;
  return result.passed ? 0 : 1;
}

function environment(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: this file runs inside the lab's guest`);
  return value;
}

process.exit(await main(process.argv[2] ?? ""));
