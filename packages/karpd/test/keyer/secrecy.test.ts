import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Secret } from "@karp/ikev2";
import { KeyerClient } from "../../src/keyer/client.ts";
import { dangerousOptions } from "../../src/runtime/hardening.ts";
import { karp as program } from "../program.ts";
import { key } from "./fakeKernel.ts";

const isLinux = process.platform === "linux";
const notHere = isLinux ? false : "only Linux has /proc";

/** Octets that occur nowhere by chance. */
const KNOWN = Uint8Array.from([
  0xde, 0x1e, 0xc7, 0xab, 0x1e, 0x5e, 0xc2, 0xe7, 0x0b, 0xad, 0xca, 0xfe, 0x5a, 0xfe, 0x00, 0x42,
]);
const FORMS = [
  Buffer.from(KNOWN).toString("hex"),
  Buffer.from(KNOWN).toString("base64").replace(/=+$/, ""),
  Buffer.from(KNOWN).toString("latin1"),
  [...KNOWN].join(","),
];

interface Running {
  readonly child: ChildProcess;
  readonly socketPath: string;
  readonly folder: string;
  output(): string;
}

async function startKeyer(t: TestContext, environment: Readonly<Record<string, string>> = {}): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "karp-secrecy-"));
  const file = join(folder, "karp.yaml");
  const socketPath = join(folder, "run", "keyer.sock");
  // A port on which nobody listens: the key is taken, kept and not written anywhere
  const session = "{ driver: linux, local: 10.0.0.1, remote: 10.0.0.2, peer: r2.example.net, mode: required, port: 1 }";
  writeFileSync(file, `router: r1.example.net\nkeyer: ${socketPath}\nsessions:\n  r2: ${session}\n`);
  const child = spawn(
    process.execPath,
    [program, "keyer", "--config", file, "--log-level", "debug", "--user", String(process.getuid?.())],
    {
      env: { PATH: process.env["PATH"], ...environment },
      cwd: folder,
    },
  );
  let text = "";
  const { promise: settled, resolve } = Promise.withResolvers<void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (more: string) => {
      text += more;
      if (text.includes("serves")) resolve();
    });
  }
  child.once("close", () => resolve());
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const end = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await end;
    }
    rmSync(folder, { recursive: true, force: true });
  });
  await settled;
  return { child, socketPath, folder, output: () => text };
}

test("a known key is in no output, argument, environment, ledger or file of the keyer", {
  skip: notHere,
}, async (t) => {
  const { child, socketPath, folder, output } = await startKeyer(t);
  const client = new KeyerClient({ socketPath });
  t.after(() => client.close());
  const known = { ...key(1, "preferred"), masterKey: new Secret(KNOWN) };
  const said = [
    await client.apply("r2", [known]),
    await client.apply("r2", [known, { ...known, adminKeyName: "r2/same" }]),
    await client.apply("elsewhere", [known]),
    await client.observe("r2"),
    await client.revoke("r2", [known]),
    await client.examine("r2"),
    await client.sessions(),
  ];
  child.kill("SIGHUP");
  const of = (name: string): string => readFileSync(`/proc/${child.pid}/${name}`, "latin1");
  const written = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"));
  const places = [output(), of("cmdline"), of("environ"), JSON.stringify(said), ...written];
  for (const place of places) for (const form of FORMS) assert.ok(!place.includes(form), place.slice(0, 200));
});

test("SIGUSR1 opens no debugger, and the process writes no core", { skip: notHere }, async (t) => {
  const { child, socketPath, output } = await startKeyer(t);
  child.kill("SIGUSR1");
  const client = new KeyerClient({ socketPath });
  t.after(() => client.close());
  assert.equal((await client.sessions()).length, 1, "it still serves");
  assert.ok(!output().includes("Debugger listening"));
  const limits = readFileSync(`/proc/${child.pid}/limits`, "utf8");
  assert.match(limits, /^Max core file size +0 +0 /m);
});

test("it has no IP socket", { skip: notHere }, async (t) => {
  const { child } = await startKeyer(t);
  const descriptors = readdirSync(`/proc/${child.pid}/fd`);
  assert.ok(descriptors.length > 0);
  const tables = ["tcp", "tcp6", "udp", "udp6"]
    .map((name) => readFileSync(`/proc/${child.pid}/net/${name}`, "utf8"))
    .join("\n");
  for (const fd of descriptors) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(() => readlinkSync(`/proc/${child.pid}/fd/${fd}`)))?.[1];
    if (inode !== undefined) assert.ok(!new RegExp(` ${inode} `).test(tables), `descriptor ${fd} is an IP socket`);
  }
});

test("it does not start with options that show its memory", { skip: notHere }, async (t) => {
  for (const option of ["--report-on-signal", "--heapsnapshot-signal=SIGUSR2", "--heapsnapshot-near-heap-limit=1"]) {
    const { child, output } = await startKeyer(t, { NODE_OPTIONS: option });
    assert.equal(child.exitCode, 1, output());
    assert.match(output(), /keys must not come into this process: node was started with --(report|heapsnapshot)/);
  }
  assert.deepEqual(dangerousOptions(["--inspect=0.0.0.0:9229"]), ["node was started with --inspect"]);
  assert.deepEqual(dangerousOptions(["--disable-sigusr1", "--max-old-space-size=64"]), []);
});

function linkOf(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}
