// Tries what would show the memory of `karp run`: a debugger, a core dump, a report, its arguments and its children's.
import assert from "node:assert/strict";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { Karp, karp, type Router, Site, until } from "./site.ts";

const notHere = process.platform === "linux" ? false : "only Linux has /proc";
/** Where core dumps are files of the working directory, one can be looked into. */
const coresAreHere = !notHere && /^core(\.%p)?$/.test(readFileSync("/proc/sys/kernel/core_pattern", "utf8").trim());

/** `karp run` with a pre-shared key that it has in its memory, and whose octets occur nowhere by chance. */
async function start(router: Router, t: Parameters<typeof Site.create>[0], command: readonly string[] = []) {
  const secret = "correct-Horse7battery9Staple-4711-delectable";
  router.file("peer.psk", `${secret}\n`);
  router.configure({ top: { credentials: undefined }, session: { "psk-file": "peer.psk" } });
  const words = [karp, "run", "--config", router.configurationFile, "--log-level", "debug"];
  const [program = process.execPath, ...rest] = [...command, process.execPath, ...words];
  const daemon = new Karp(t, rest, { node: program });
  await until(
    async () => {
      if (daemon.child.exitCode !== null) throw new Error(`karp run ended: ${daemon.stderr}`);
      return await router.client.get("/v1/status").catch(() => undefined);
    },
    () => daemon.stderr,
  );
  return { daemon, secret };
}

test("SIGUSR1 opens no debugger, and nobody listens at its port", { skip: notHere }, async (t) => {
  const { r1 } = await Site.create(t);
  const { daemon } = await start(r1, t);
  daemon.child.kill("SIGUSR1");
  await until(
    () => /SIGUSR1 opens no debugger here/.test(daemon.stderr),
    () => daemon.stderr,
  );
  assert.doesNotMatch(daemon.stderr, /Debugger listening/);
  const listening = readFileSync(`/proc/${daemon.child.pid}/net/tcp`, "utf8")
    .split("\n")
    .filter((line) => / 0100007F:240D 00000000:0000 0A /.test(line)); // 127.0.0.1:9229, LISTEN
  const sockets = readdirSync(`/proc/${daemon.child.pid}/fd`).length;
  assert.ok(sockets > 0);
  assert.deepEqual(listening, []);
  assert.equal(await refusesConnection(9229), true);
});

test("a core dump is written without what is in memory", { skip: notHere }, async (t) => {
  const { r1 } = await Site.create(t);
  const unlimited = ["sh", "-c", `cd ${r1.home} && ulimit -c unlimited && exec "$@"`, "sh"];
  const { daemon, secret } = await start(r1, t, unlimited);
  const { pid } = daemon.child;
  assert.equal(readFileSync(`/proc/${pid}/coredump_filter`, "utf8").trim(), "00000000");
  assert.ok(inMemory(pid ?? 0, secret), "it is in the memory of the process: what is looked for could be found");
  daemon.child.kill("SIGABRT");
  const { signal } = await daemon.ended;
  assert.equal(signal, "SIGABRT");
  if (!coresAreHere) return t.diagnostic("core dumps go elsewhere here: only the filter was looked at");
  const cores = readdirSync(r1.home).filter((name) => name.startsWith("core"));
  assert.equal(cores.length, 1, "the kernel wrote one");
  assert.ok(!readFileSync(join(r1.home, cores[0] ?? "")).includes(secret), "the secret is in the core dump");
});

test("it does not start with options that show its memory", { skip: notHere }, async (t) => {
  const { r1 } = await Site.create(t);
  for (const option of ["--report-on-signal", "--heapsnapshot-signal=SIGUSR2", "--inspect=127.0.0.1:0"]) {
    const env = { ...process.env, NODE_OPTIONS: option };
    const { code, stderr } = await Karp.run(["run", "--config", r1.configurationFile], { env });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^karp: keys must not come into this process: node was started with --(report|heapsnapshot|inspect)/m,
    );
    assert.ok(!existsSync(`${r1.home}/store`), "nothing was started");
  }
});

test("SIGUSR2 and SIGQUIT write no report and no snapshot, and no secret is in any text or argument", {
  skip: notHere,
}, async (t) => {
  const { r1 } = await Site.create(t);
  const { daemon, secret } = await start(r1, t, ["sh", "-c", `cd ${r1.home} && exec "$@"`, "sh"]);
  const of = (name: string): string => readFileSync(`/proc/${daemon.child.pid}/${name}`, "latin1");
  const places = [of("cmdline"), of("environ")];
  const before = readdirSync(r1.home);
  const paths = ["status", "peers", "sessions", "keys", "rollovers", "events", "statistics", "changes"];
  for (const path of paths) places.push(JSON.stringify(await r1.client.get(`/v1/${path}`)));
  daemon.child.kill("SIGUSR2");
  await daemon.ended;
  places.push(daemon.stderr, daemon.stdout);
  const added = readdirSync(r1.home).filter((name) => !before.includes(name) && !/^(core|karp\.sock)/.test(name));
  assert.deepEqual(added, []);
  for (const place of places) assert.ok(!place.includes(secret), place.slice(0, 200));
});

/** Whether the text is in a writable mapping of the process. */
function inMemory(pid: number, text: string): boolean {
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    return mappings(pid).some(([from, size]) => octetsAt(memory, from, size).includes(text));
  } finally {
    closeSync(memory);
  }
}

function mappings(pid: number): readonly (readonly [from: number, size: number])[] {
  const lines = readFileSync(`/proc/${pid}/maps`, "utf8").matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm);
  return [...lines].map(([, from = "", to = ""]) => {
    const start = Number.parseInt(from, 16);
    return [start, Number.parseInt(to, 16) - start] as const;
  });
}

function octetsAt(memory: number, position: number, size: number): Buffer {
  const octets = Buffer.alloc(size);
  try {
    return octets.subarray(0, readSync(memory, octets, 0, size, position));
  } catch {
    // A mapping that nobody can read
    return Buffer.alloc(0);
  }
}

function refusesConnection(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", () => resolve(true));
  });
}
