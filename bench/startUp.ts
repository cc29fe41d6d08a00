/** From the start of the process until the control socket answers, and how long one `karp show` takes. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ControlClient, ControlError } from "../packages/karpd/src/control/client.ts";
import { type Benchmark, figure, type Row } from "./figure.ts";
import { cpuOfProcess } from "./machine.ts";

const runs = 7;
const limitMilliseconds = 30_000;
const root = join(import.meta.dirname, "..");

export const startUp: Benchmark = {
  title: "start-up",
  run: async (): Promise<readonly Row[]> => {
    const built = join(root, "dist/stage/karpd");
    const source = join(root, "packages/karpd");
    return [
      ...(existsSync(join(built, "dist/main.js"))
        ? await measure("the built daemon", join(built, "bin/karp.js"), { listening: 500, show: 150 })
        : [{ what: "start-up of the built daemon", skipped: "not built: `npm run build` first" }]),
      ...(await measure("from sources", join(source, "bin/karp.js"), {})),
    ];
  },
};

interface Budgets {
  readonly listening?: number;
  readonly show?: number;
}

async function measure(name: string, entry: string, budgets: Budgets): Promise<readonly Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "karp-bench-"));
  try {
    const place = await configure(folder);
    const cold = await startOnce(entry, place);
    const started: Started[] = [];
    for (let run = 0; run < runs; run++) started.push(await startOnce(entry, place));
    const shown = started.map(({ show }) => show);
    return [
      figure(
        `${name}: start to listening`,
        "ms",
        started.map(({ listening }) => listening),
        {
          ...withBudget(budgets.listening),
          note: "wall clock; the control socket answers and the UDP port is bound",
        },
      ),
      figure(
        `${name}: the same, CPU`,
        "ms",
        started.flatMap(({ cpu }) => cpu ?? []),
        { note: "in steps of 10 ms" },
      ),
      figure(`${name}: the first start ever`, "ms", [cold.listening], {
        note: "wall clock; nothing in the compile cache",
      }),
      figure(`${name}: \`karp show sessions\``, "ms", shown, { ...withBudget(budgets.show), note: "wall clock" }),
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function withBudget(budget: number | undefined): { readonly budget?: number } {
  return budget === undefined ? {} : { budget };
}

interface Place {
  readonly configuration: string;
  readonly socket: string;
  readonly environment: NodeJS.ProcessEnv;
}

interface Started {
  /** Milliseconds, as all of these. */
  readonly listening: number;
  readonly cpu: number | undefined;
  readonly show: number;
}

async function startOnce(entry: string, place: Place): Promise<Started> {
  const begin = performance.now();
  const daemon = karp(entry, ["run", "--config", place.configuration], place);
  const complaint = textOf(daemon);
  const ended = ending(daemon);
  try {
    await answers(place.socket, daemon, complaint);
    const listening = performance.now() - begin;
    const cpu = await cpuOfProcess(daemon.pid ?? 0);
    return { listening, cpu, show: await show(entry, place) };
  } finally {
    daemon.kill("SIGTERM");
    await ended;
  }
}

async function answers(socket: string, daemon: ChildProcess, complaint: () => string): Promise<void> {
  const client = new ControlClient(socket);
  const end = performance.now() + limitMilliseconds;
  while (performance.now() < end) {
    if (daemon.exitCode !== null) throw new Error(`the daemon ended: ${complaint()}`);
    try {
      await client.get("/v1/sessions");
      return;
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
    }
    await delay(2);
  }
  throw new Error("the daemon does not answer");
}

async function show(entry: string, place: Place): Promise<number> {
  const begin = performance.now();
  const shown = karp(entry, ["show", "sessions", "--socket", place.socket], place);
  const complaint = textOf(shown);
  const code = await ending(shown);
  if (code !== 0) throw new Error(`karp show ended with ${code}: ${complaint()}`);
  return performance.now() - begin;
}

function karp(entry: string, args: readonly string[], { environment }: Place): ChildProcess {
  return spawn(process.execPath, [entry, ...args], { env: environment, stdio: ["ignore", "ignore", "pipe"] });
}

function ending(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once("exit", (code) => resolve(code));
  });
}

function textOf(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.on("data", (chunk) => {
    text += String(chunk);
  });
  return () => text;
}

/** One router with one session and a compile cache of its own. */
async function configure(folder: string): Promise<Place> {
  const cache = join(folder, "compile-cache");
  await mkdir(cache);
  const socket = join(folder, "karp.sock");
  const configuration = join(folder, "karp.yaml");
  await writeFile(join(folder, "r2.psk"), `0x${randomBytes(32).toString("hex")}\n`, { mode: 0o600 });
  const port = 20_000 + (process.pid % 20_000);
  await writeFile(
    configuration,
    `router: r1.example.net
listen: ["127.0.0.1:${port}"]
store: ${folder}/karp.db
control: ${socket}
sessions:
  r2:
    protocol: bgp
    driver: keychain
    local: 127.0.0.1
    remote: 127.0.0.2
    peer: r2.example.net
    psk-file: ${folder}/r2.psk
    mode: observe
    keychain: { file: ${folder}/r2.json }
`,
    { mode: 0o600 },
  );
  return { configuration, socket, environment: { ...process.env, NODE_COMPILE_CACHE: cache } };
}
