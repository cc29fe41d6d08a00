/** Runs the benchmarks, each in a process of its own, and shows what they found. */
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { benchmarks } from "./benchmarks.ts";
import type { Row } from "./figure.ts";
import { describeMachine, type Machine } from "./machine.ts";
import { machineText, markdownTable, textTable } from "./table.ts";

const help = `npm run bench -- [--json] [--write] [NAME…]

  NAME     ${Object.keys(benchmarks).join(", ")}; without one, all of them
  --json   the figures as JSON
  --write  put the figures of all of them into bench/RESULTS.md, unless one failed

The daemon that start-up measures is the one of \`npm run build\`. To see where the time goes:
  node --expose-gc --cpu-prof bench/one.ts NAME`;

/** Gives the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const problem = problemWith(positionals, values.write);
  if (values.help || problem !== undefined) {
    console.log(problem === undefined ? help : `${problem}\n\n${help}`);
    return problem === undefined ? 0 : 2;
  }
  const machine = describeMachine();
  const rows = await measure(positionals.length > 0 ? positionals : Object.keys(benchmarks));
  const table = `${machineText(machine)}\n\n${textTable(rows)}`;
  console.log(values.json ? JSON.stringify({ machine, rows }, undefined, 2) : table);
  if (rows.some((row) => "failed" in row)) return 1;
  if (values.write) await record(machine, rows);
  return 0;
}

function problemWith(names: readonly string[], writes: boolean): string | undefined {
  const unknown = names.find((name) => !Object.hasOwn(benchmarks, name));
  if (unknown !== undefined) return `there is no benchmark ${unknown}`;
  return writes && names.length > 0 ? "--write takes the figures of one whole run: name no benchmark" : undefined;
}

async function measure(names: readonly string[]): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const name of names) {
    process.stderr.write(`measuring ${name} …\n`);
    rows.push(...(await inOwnProcess(name)));
  }
  return rows;
}

const options = {
  json: { type: "boolean", default: false },
  write: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** No benchmark finds the heap, the compiled code or the open files of another. */
function inOwnProcess(name: string): Promise<readonly Row[]> {
  const one = spawn(process.execPath, ["--expose-gc", fileURLToPath(import.meta.resolve("./one.ts")), name], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  one.stdout.setEncoding("utf8").on("data", (chunk) => {
    output += String(chunk);
  });
  return new Promise((resolve, reject) => {
    one.once("error", reject);
    one.once("close", (code) => {
      const failure = { what: name, failed: `its process ended with ${code}` };
      resolve(code === 0 ? (JSON.parse(output) as readonly Row[]) : [failure]);
    });
  });
}

const begin = "<!-- figures: written by `npm run bench -- --write` -->";
const end = "<!-- end of figures -->";

async function record(machine: Machine, rows: readonly Row[]): Promise<void> {
  const path = join(import.meta.dirname, "RESULTS.md");
  const text = await readFile(path, "utf8");
  const [before, rest] = text.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`${path} has lost its marks`);
  const figures = `${machineText(machine)}.\nCommand: \`npm run bench -- --write\`.\n\n${markdownTable(rows)}`;
  await writeFile(path, `${before}${begin}\n\n${figures}\n\n${end}${after}`);
}
