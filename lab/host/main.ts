// The lab's command line.
import { parseArgs } from "node:util";
import { loadScenario, scenarioNames } from "../lib/scenario.ts";
import { endAllGuests, type Machine } from "./guest.ts";
import { ensureKernel } from "./kernel.ts";
import { MissingError, UsageError } from "./need.ts";
import { qemuMachine } from "./qemu.ts";
import { ensureRootfs } from "./rootfs.ts";
import { runScenario } from "./scenarioRun.ts";
import { report, runSuite } from "./suite.ts";
import { umlMachine } from "./uml.ts";

const USAGE = `usage: npm run lab -- SCENARIO [--qemu]    run one scenario with a live view
       npm run lab -- --list               say which scenarios there are
       npm run lab -- --setup [--qemu]     build what is cached (root folder, kernel) and stop
       npm run test:lab -- [--long] [--require-all] [--jobs N]
                                           run them all; --long: also the long ones, and one under qemu
Environment: KARP_LAB_KERNEL  a ready user-mode Linux kernel with TCP-AO
             KARP_LAB_CACHE   where root folder and kernel are kept (default ~/.cache/karp-lab)
             KARP_LAB_MIRROR  Debian mirror (default: this machine's)
`;

const OPTIONS = {
  suite: { type: "boolean", default: false },
  list: { type: "boolean", default: false },
  setup: { type: "boolean", default: false },
  qemu: { type: "boolean", default: false },
  long: { type: "boolean", default: false },
  "require-all": { type: "boolean", default: false },
  // As many as CI's processors: a guest's kernel and its processes hand over to each other all the time, and a third in
  // between slows all of them down
  jobs: { type: "string", default: "2" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** @returns the exit code: 0 as wished, 1 failed, 2 wrong usage */
export async function main(args: readonly string[]): Promise<number> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stop(signal));
  try {
    return await command(args);
  } catch (error) {
    if (error instanceof UsageError) return usage(error.message);
    if (error instanceof MissingError) return fail(error.message);
    throw error;
  } finally {
    endAllGuests();
  }
}

async function command(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse(args);
  if (values.help) return print(USAGE);
  if (values.list) return await list();
  if (values.setup) return await setUp(values.qemu);
  if (values.suite) {
    const jobs = Number(values.jobs);
    if (!Number.isInteger(jobs) || jobs < 1)
      throw new UsageError(`--jobs ${values.jobs}: a number from 1 on is wanted`);
    if (positionals.length > 0)
      throw new UsageError(`--suite runs all scenarios; it takes no name (${positionals[0]})`);
    const options = {
      requireAll: values["require-all"],
      long: values.long,
      jobs,
      uml: once(makeUml),
      qemu: once(makeQemu),
    };
    return await runSuite(options, say);
  }
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0) throw new UsageError("one scenario's name is wanted");
  return await runOne(name, values.qemu);
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

async function list(): Promise<number> {
  for (const name of scenarioNames()) {
    const { title, long, alsoUnderQemu } = await loadScenario(name);
    say(`${name.padEnd(20)} ${title}${long ? " (long)" : ""}${alsoUnderQemu ? " (also under qemu)" : ""}`);
  }
  return 0;
}

async function setUp(qemu: boolean): Promise<number> {
  await (qemu ? makeQemu() : makeUml());
  say("lab: ready");
  return 0;
}

async function runOne(name: string, qemu: boolean): Promise<number> {
  if (!scenarioNames().includes(name))
    throw new UsageError(`no scenario "${name}"; there are: ${scenarioNames().join(", ")}`);
  const { timeoutSeconds } = await loadScenario(name);
  const machine = await (qemu ? makeQemu() : makeUml());
  const wish = { scenario: name, label: qemu ? `${name}-qemu` : name, timeoutSeconds };
  const outcome = await runScenario(machine, wish, (text) => process.stdout.write(text));
  report(outcome, say);
  return outcome.status === "passed" ? 0 : 1;
}

async function makeUml(): Promise<Machine> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new MissingError(
      `User-mode Linux does not run on ${process.platform}/${process.arch}`,
      "use Linux on x86-64",
    );
  }
  const rootfs = await ensureRootfs(progress);
  return umlMachine(await ensureKernel(progress), rootfs);
}

async function makeQemu(): Promise<Machine> {
  const rootfs = await ensureRootfs(progress);
  return await qemuMachine(rootfs, progress);
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function progress(line: string): void {
  process.stderr.write(`lab: ${line}\n`);
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function usage(problem: string): number {
  process.stderr.write(`lab: ${problem}\n${USAGE}`);
  return 2;
}

function fail(problem: string): number {
  process.stderr.write(`lab: NOT RUN. ${problem}\n`);
  return 1;
}

function stop(signal: NodeJS.Signals): void {
  endAllGuests();
  process.kill(process.pid, signal);
}
