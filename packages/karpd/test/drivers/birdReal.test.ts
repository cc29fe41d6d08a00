import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { createBirdDriver } from "../../src/drivers/bird/driver.ts";
import { WANDER_MILLISECONDS } from "../../src/drivers/bird/observation.ts";
import { context, eventually, folder, key, sessionOf } from "./support.ts";

/** A BIRD with TCP-AO: KARP_TEST_BIRD, else the one in PATH, else the one in the lab's cached root folder. */
function birdCommand(): readonly string[] | undefined {
  const root = join(homedir(), ".cache/karp-lab/rootfs");
  const loader = `${root}/lib64/ld-linux-x86-64.so.2`;
  const cached = [loader, "--library-path", `${root}/usr/lib/x86_64-linux-gnu`, `${root}/usr/sbin/bird`];
  const candidates = [[process.env["KARP_TEST_BIRD"] ?? "bird"], ["/usr/sbin/bird"], cached];
  return candidates.find(([program = "", ...rest]) => {
    const { status, stdout, stderr } = spawnSync(program, [...rest, "--version"], { encoding: "utf8" });
    return status === 0 && /BIRD version (2\.(1[7-9]|[2-9]\d)|3\.[1-9])/.test(stdout + stderr);
  });
}

const command = birdCommand();
const skip = command === undefined && "no BIRD 2.17 or 3.1 here: set KARP_TEST_BIRD to one";

interface RealBird {
  readonly config: string;
  readonly include: string;
  readonly control: string;
  /** One command of an operator's. */
  ask(line: string): Promise<string>;
  stop(): Promise<void>;
}

/** BIRD on loopback and an unprivileged port, with one BGP protocol whose peer does not exist. */
async function start(t: TestContext): Promise<RealBird> {
  const directory = folder(t);
  const config = `${directory}/bird.conf`;
  const include = `${directory}/r2.conf`;
  const control = `${directory}/bird.ctl`;
  await writeFile(include, "");
  await writeFile(
    config,
    `router id 1.1.1.1;
timeformat base "%d.%m. %H o'clock";
timeformat protocol iso short ms;
protocol device { }
protocol bgp 'r-2.x' {
  local 127.0.0.1 port 41790 as 65001;
  neighbor 127.0.0.2 as 65002;
  ipv4 { import none; export none; };
  include "r2.conf";
}
`,
  );
  const [program = "", ...rest] = command ?? [];
  const files = ["-c", config, "-s", control, "-P", `${directory}/bird.pid`];
  const child = spawn(program, [...rest, "-f", ...files], { stdio: "ignore" });
  t.after(() => ended(child));
  await eventually("BIRD answers", async () => {
    assert.equal(child.exitCode, null, "BIRD runs");
    return existsSync(control) ? await ask(control, "show status").catch(() => undefined) : undefined;
  });
  return { config, include, control, ask: (line) => ask(control, line), stop: () => ended(child) };
}

function ask(control: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(control, () => socket.write(`${line}\n`)).setEncoding("utf8");
    socket.on("error", reject);
    socket.on("data", (part: string) => {
      text += part;
      // The welcome line is a reply of its own
      if (text.split("\n").filter((found) => /^\d{4} /.test(found)).length < 2) return;
      socket.destroy();
      resolve(text);
    });
  });
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
  });
}

test("a real BIRD: keys, held back by an edit and by an undo, revoke, BIRD gone", { skip }, async (t) => {
  const bird = await start(t);
  const driver = createBirdDriver(context());
  t.after(() => driver.close());
  const { control, config, include } = bird;
  const words = { control, config, include, group: "none", "configure-interval": "0ms", "protocol-name": "r-2.x" };
  const session = sessionOf("bird", words, { localAddress: "127.0.0.1", remoteAddress: "127.0.0.2" });
  const apply = async (...keys: Parameters<typeof driver.apply>[1]): Promise<string> => {
    const outcome = await driver.apply(session, keys);
    return outcome.kind === "installed" ? outcome.kind : `${outcome.kind} ${outcome.reason}`;
  };
  // A kernel without TCP-AO takes no key: BIRD says so, and the driver names the algorithm
  const taken = /^installed$|^refused the kernel did not take/;

  assert.deepEqual(await driver.observe(session), { kind: "observed", observation: { connections: 0 } });
  const findings = (await driver.examine(session)).filter(({ text }) => !/reboot|read by everybody/.test(text));
  assert.deepEqual(findings, []);
  assert.match(await apply(), /^installed$/);
  assert.match(await apply(key(1, "preferred")), taken);
  assert.match(
    await readFile(include, "utf8"),
    /send id 2; recv id 3; secret hex:[0-9a-f]{32}; algorithm cmac aes128; preferred;/,
  );

  // Two configures within this time are one to the driver, which then keeps holding back
  await setTimeout(WANDER_MILLISECONDS);
  await writeFile(config, `${await readFile(config, "utf8")}# edited\n`);
  assert.match(await apply(key(1, "preferred"), key(2, "accept")), /^pending held back: .*bird\.conf edited/);
  assert.match(await bird.ask("configure"), /^0003 |^0004 /m);
  assert.match(await apply(key(1, "preferred"), key(2, "accept")), taken);

  await bird.ask("configure timeout 60");
  assert.match(
    await apply(key(1, "preferred"), key(3, "accept", { algorithm: "hmac-sha-1-96" })),
    /^pending held back: BIRD undoes .* in (59|60) s/,
  );
  assert.match(await bird.ask("configure confirm"), /0018/);
  assert.match(await apply(key(1, "preferred"), key(3, "accept", { algorithm: "hmac-sha-1-96" })), taken);

  assert.deepEqual(await driver.revoke(session, []), { kind: "revoked" });
  assert.doesNotMatch(await readFile(include, "utf8"), /send id 2;/);
  await bird.stop();
  assert.match(await apply(key(4, "preferred")), /^pending BIRD is not running/);
  assert.equal((await driver.observe(session)).kind, "unavailable");
});
