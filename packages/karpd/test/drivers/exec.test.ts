import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, chown, readdir, readFile, writeFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { parseApplyAnswer, parseRevokeAnswer } from "../../src/drivers/exec/answer.ts";
import { createExecDriver } from "../../src/drivers/exec/driver.ts";
import { context, eventually, folder, key, keyForms, sessionOf } from "./support.ts";

/** A small program of the operator's: node with this text, which has `request` and `state`, a file for it. */
async function program(
  t: TestContext,
  body: string,
): Promise<{ readonly command: readonly string[]; readonly state: string }> {
  const directory = folder(t);
  const path = `${directory}/program.cjs`;
  const state = `${directory}/state.json`;
  const text = `const fs = require("node:fs"); const state = ${JSON.stringify(state)};
const request = JSON.parse(fs.readFileSync(0, "utf8")); ${body}`;
  await writeFile(path, text);
  return { command: [process.execPath, path], state };
}

const STORE = `fs.writeFileSync(state, JSON.stringify({ request, argv: process.argv, env: process.env, cwd: process.cwd() }));
process.stdout.write(JSON.stringify({ outcome: request.request === "apply" ? "installed" : "revoked" }));`;

async function apply(t: TestContext, body: string, settings: Record<string, unknown> = {}) {
  const { command, state } = await program(t, body);
  const ctx = context();
  const outcome = await createExecDriver(ctx).apply(sessionOf("exec", { command, ...settings }), [key(1, "preferred")]);
  return { outcome, state, logged: ctx.lines };
}

test("exec: keys are on standard input only; environment, arguments and folder say nothing", async (t) => {
  const { state } = await apply(t, STORE);
  const { request, argv, env, cwd } = JSON.parse(await readFile(state, "utf8"));
  const [hex = ""] = keyForms([key(1, "preferred")]);
  assert.equal(request.keys[0]["master-key"], hex);
  assert.deepEqual([request.format, request.version, request.request], ["karp-exec", 1, "apply"]);
  assert.ok(!JSON.stringify([argv, env]).includes(hex));
  assert.deepEqual(Object.keys(env).sort(), ["LANG", "PATH"]);
  assert.equal(cwd, "/");
});

test("exec: every outcome of apply comes through with its reason, escaped", async (t) => {
  for (const kind of ["pending", "refused", "lost", "foreign"]) {
    const { outcome } = await apply(
      t,
      `process.stdout.write(JSON.stringify({ outcome: "${kind}", reason: "not\\u001b[2J now" }));`,
    );
    assert.deepEqual(outcome, { kind, reason: "not\\x1b[2J now" });
  }
});

test("exec: a program that echoes a key does not get it into a reason or the log", async (t) => {
  const echo = `const k = request.keys[0]["master-key"]; const b = Buffer.from(k, "hex").toString("base64");
console.error("tried " + k.toUpperCase() + " " + b);`;
  for (const end of [
    "process.exitCode = 3;",
    `process.stdout.write(JSON.stringify({ outcome: "pending", reason: k + b }));`,
  ]) {
    const { outcome, logged } = await apply(t, `${echo} ${end}`);
    const text = JSON.stringify([outcome, logged]);
    assert.match(text, /\[key\]/);
    for (const form of keyForms([key(1, "preferred")])) assert.ok(!text.toLowerCase().includes(form.toLowerCase()));
  }
});

test("exec: exit status, silence and nonsense are told apart", async (t) => {
  const failed = await apply(
    t,
    `console.error("first"); console.error("no route to the router"); process.exitCode = 7;`,
  );
  assert.match(JSON.stringify(failed.outcome), /"pending".*ended with 7: no route to the router/);
  const silent = await apply(t, "setInterval(() => 0, 1000);", { timeout: "300ms" });
  assert.match(JSON.stringify(silent.outcome), /"pending".*did not answer within 0.3 s/);
  const nonsense = await apply(t, `process.stdout.write("ok");`);
  assert.match(JSON.stringify(nonsense.outcome), /"refused".*answer is not/);
  const flood = await apply(t, `process.stdout.write("x".repeat(1e6)); process.stderr.write("y".repeat(1e6));`);
  assert.equal(flood.outcome.kind, "refused");
});

test("exec: a program that reads nothing and answers is believed", async (t) => {
  const directory = folder(t);
  const path = `${directory}/program.sh`;
  await writeFile(path, `#!/bin/sh\nexec <&-\necho '{"outcome":"installed"}'\n`);
  await chmod(path, 0o755);
  const session = sessionOf("exec", { command: [path] });
  assert.deepEqual(await createExecDriver(context()).apply(session, [key(1, "preferred")]), { kind: "installed" });
  assert.equal((await createExecDriver(context()).examine(session))[0]?.severity, "ok");
  await chmod(path, 0o777);
  assert.match((await createExecDriver(context()).examine(session))[0]?.text ?? "", /chmod go-w/);
});

test("exec: a relative or missing program is refused", async () => {
  for (const command of [["program"], ["/nonexistent/program"]]) {
    const session = sessionOf("exec", { command });
    assert.equal((await createExecDriver(context()).apply(session, [])).kind, "refused");
    assert.equal((await createExecDriver(context()).examine(session))[0]?.severity, "error");
  }
});

test("exec: a key that begins where a reason or a complaint is cut off is taken out whole", async (t) => {
  const [hex = ""] = keyForms([key(1, "preferred")]);
  const cut = `const k = request.keys[0]["master-key"]; const long = "x".repeat(190) + " " + k;`;
  for (const body of [
    `process.stdout.write(JSON.stringify({ outcome: "pending", reason: long }));`,
    `console.error(long); process.exitCode = 1;`,
    // more than is kept: the kept part begins in the middle of a key
    `process.stderr.write(k.repeat(1000)); process.exitCode = 1;`,
    `process.stdout.write(JSON.stringify({ outcome: "refused", "admin-key-names": [k] }));`,
  ]) {
    const { outcome, logged } = await apply(t, `${cut} ${body}`);
    const text = JSON.stringify([outcome, logged]);
    for (let at = 0; at + 6 <= hex.length; at++) assert.ok(!text.includes(hex.slice(at, at + 6)), text);
  }
});

test("exec: a chatty program: the last line of standard error counts, not the last that fitted", async (t) => {
  const { outcome } = await apply(
    t,
    `for (let n = 0; n < 5000; n++) console.error("line " + n); console.error("the reason"); process.exitCode = 2;`,
  );
  assert.match(JSON.stringify(outcome), /"pending".*ended with 2: the reason"/);
});

test("exec: only keys that the program was given can be refused by name", async (t) => {
  const names = `["r2/0000000000000001", "r3/0000000000000001"]`;
  const body = `process.stdout.write(JSON.stringify({ outcome: "refused", reason: "no", "admin-key-names": ${names} }));`;
  const { outcome } = await apply(t, body);
  assert.deepEqual(outcome, { kind: "refused", reason: "no", adminKeyNames: ["r2/0000000000000001"] });
});

test("exec: killed, and killed for its silence with all its children", async (t) => {
  const killed = await apply(t, `process.kill(process.pid, "SIGKILL");`);
  assert.match(JSON.stringify(killed.outcome), /"pending".*ended with SIGKILL/);
  const body = `const child = require("node:child_process").spawn("sleep", ["1000"], { stdio: "inherit" });
fs.writeFileSync(state, String(child.pid)); setInterval(() => 0, 1000);`;
  const silent = await apply(t, body, { timeout: "2s" });
  assert.match(JSON.stringify(silent.outcome), /"pending".*did not answer within 2 s/);
  const pid = Number(await readFile(silent.state, "utf8"));
  await eventually("the child is gone", async () => ((await isRunning(pid)) ? undefined : true));
});

test("exec: a grandchild that leaves the group and keeps the pipes open holds nobody up", async (t) => {
  const body = `const { spawn } = require("node:child_process");
const child = spawn("sleep", ["1000"], { stdio: "inherit", detached: true });
fs.writeFileSync(state, String(child.pid)); process.stdout.write('{"outcome":"installed"}'); process.exit(0);`;
  const { outcome, state } = await apply(t, body, { timeout: "1s" });
  assert.match(JSON.stringify(outcome), /"pending".*did not answer within 1 s/);
  process.kill(Number(await readFile(state, "utf8")), "SIGKILL");
});

test("exec: without file descriptors the daemon lives on, and the call is tried again", () => {
  const program = `
    import { openSync, closeSync } from "node:fs";
    import { createExecDriver } from ${JSON.stringify(sourceUrl("drivers/exec/driver.ts"))};
    import { systemClock } from ${JSON.stringify(sourceUrl("drivers/context.ts"))};
    const session = { name: "r2", driverSettings: { command: ["/bin/true"] } };
    const driver = createExecDriver({ clock: systemClock, log: () => undefined });
    await driver.apply(session, []);
    const taken = [];
    try { for (;;) taken.push(openSync("/dev/null")); } catch {}
    const outcome = await driver.apply(session, []);
    taken.forEach((fd) => closeSync(fd));
    console.log(JSON.stringify(outcome));`;
  const node = [process.execPath, "--input-type=module", "--eval", program];
  const { stdout, stderr, status } = spawnSync("sh", ["-c", 'ulimit -n 128; exec "$@"', "sh", ...node]);
  assert.equal(status, 0, stderr.toString());
  assert.match(stdout.toString(), /"pending".*EMFILE/);
});

test("exec: somebody else's program, and a folder that everyone may write, get no keys", {
  skip: process.getuid?.() !== 0 && "needs root to give a file away",
}, async (t) => {
  const directory = folder(t);
  const path = `${directory}/program.sh`;
  await writeFile(path, `#!/bin/sh\ncat > ${directory}/got\necho '{"outcome":"installed"}'\n`, { mode: 0o755 });
  const session = sessionOf("exec", { command: [path] });
  const driver = createExecDriver(context());
  await chown(path, 65534, 65534);
  assert.match(JSON.stringify(await driver.apply(session, [key(1, "preferred")])), /"refused".*belongs to user 65534/);
  await chown(path, 0, 0);
  await chmod(directory, 0o777);
  assert.match(JSON.stringify(await driver.apply(session, [key(1, "preferred")])), /"refused".*everyone may replace/);
  assert.equal((await driver.examine(session))[0]?.severity, "error");
  assert.deepEqual(await readdir(directory), ["program.sh"], "it was not run");
  await chmod(directory, 0o755);
  assert.deepEqual(await driver.apply(session, [key(1, "preferred")]), { kind: "installed" });
});

/** Whether there is more of a process than its exit status. */
async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return stat !== undefined && !/\) [ZX] /.test(stat);
}

function sourceUrl(file: string): string {
  return new URL(`../../src/${file}`, import.meta.url).href;
}

test("exec: any answer gives an outcome or nothing", () => {
  const answers = fc.oneof(
    fc.string(),
    fc.json(),
    fc.record({ outcome: fc.string(), reason: fc.string() }).map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(answers, (text) => {
      const outcome = parseApplyAnswer(text, []);
      assert.ok(outcome === undefined || ["installed", "pending", "refused", "lost", "foreign"].includes(outcome.kind));
      const revoked = parseRevokeAnswer(text, []);
      assert.ok(revoked === undefined || ["revoked", "failed"].includes(revoked.kind));
    }),
  );
});
