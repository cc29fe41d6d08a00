import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { drivers } from "../../src/drivers/index.ts";
import { inTurns } from "../../src/drivers/inTurns.ts";
import type { ApplyOutcome, RoutingDriver } from "../../src/ports/routingDriver.ts";
import { context, eventually, folder, key, sessionOf } from "./support.ts";

test("a call waits for the one before it, however long that takes; other sessions do not", async () => {
  const { driver, log, finish } = slowDriver();
  const first = driver.apply(sessionOf("slow", {}), [key(1, "preferred")]);
  const second = driver.revoke(sessionOf("slow", {}), [key(2, "preferred")]);
  const other = driver.apply(sessionOf("slow", {}, { name: "r3" }), [key(3, "preferred")]);
  await settled();
  assert.deepEqual(log, ["r2 applies 2", "r3 applies 6"]);
  finish("r3");
  assert.deepEqual(await other, { kind: "installed" });
  finish("r2");
  assert.deepEqual(await first, { kind: "installed" });
  await settled();
  finish("r2");
  assert.deepEqual(await second, { kind: "revoked" });
  assert.deepEqual(log, ["r2 applies 2", "r3 applies 6", "r2 revokes"]);
});

test("an apply that was overtaken while it waited is not done; a revocation always is", async () => {
  const { driver, log, finish } = slowDriver();
  const session = sessionOf("slow", {});
  const calls = [
    driver.apply(session, [key(1, "preferred")]),
    driver.apply(session, [key(2, "preferred")]),
    driver.revoke(session, []),
    driver.apply(session, [key(3, "preferred")]),
  ];
  for (let n = 0; n < 3; n++) {
    await settled();
    finish("r2");
  }
  const kinds = (await Promise.all(calls)).map(({ kind }) => kind);
  assert.deepEqual(kinds, ["installed", "pending", "revoked", "installed"]);
  assert.deepEqual(log, ["r2 applies 2", "r2 revokes", "r2 applies 6"]);
});

test("a call that throws does not stop the next one", async () => {
  const { driver: inner } = slowDriver();
  let calls = 0;
  const driver = inTurns({
    ...inner,
    apply: async () => {
      if (calls++ === 0) throw new Error("broken");
      return { kind: "installed" };
    },
  });
  const [broken, next] = [driver.apply(sessionOf("slow", {}), []), driver.apply(sessionOf("slow", {}), [])];
  await assert.rejects(broken, /broken/);
  assert.deepEqual(await next, { kind: "installed" });
});

test("exec: a program that is still busy with older keys does not come after the one with newer keys", async (t) => {
  const directory = folder(t);
  const program = `${directory}/program.sh`;
  // The first run ends when there is a file `go`; each run notes what it had
  const body = `sleep_until() { while [ ! -e ${directory}/go ]; do sleep 0.05; done; }
request=$(cat); case "$request" in *'"send-id":4'*) ;; *) touch ${directory}/began; sleep_until ;; esac
printf '%s\\n' "$request" >> ${directory}/done; printf '{"outcome":"installed"}'`;
  await writeFile(program, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  const driver = drivers.exec.create(context());
  const session = sessionOf("exec", { command: [program] });
  const older = driver.apply(session, [key(1, "preferred")]);
  const newer = driver.apply(session, [key(1, "preferred"), key(2, "accept")]);
  const since = Date.now();
  await eventually(
    "the newer run has had its time",
    async () => (existsSync(`${directory}/began`) && Date.now() > since + 300) || undefined,
  );
  await writeFile(`${directory}/go`, "");
  assert.deepEqual([(await older).kind, (await newer).kind], ["installed", "installed"]);
  const runs = (await readFile(`${directory}/done`, "utf8")).trimEnd().split("\n");
  assert.deepEqual(
    runs.map((run) => JSON.parse(run).keys.length),
    [1, 2],
  );
});

/** A driver whose calls end when the test says so. */
function slowDriver() {
  const log: string[] = [];
  const waiting = new Map<string, () => void>();
  const until = (name: string): Promise<void> => new Promise((resolve) => waiting.set(name, resolve));
  const inner: RoutingDriver = {
    name: "slow",
    observes: false,
    apply: async ({ name }, keys): Promise<ApplyOutcome> => {
      log.push(`${name} applies ${keys.map(({ sendId }) => sendId).join()}`);
      await until(name);
      return { kind: "installed" };
    },
    revoke: async ({ name }) => {
      log.push(`${name} revokes`);
      await until(name);
      return { kind: "revoked" };
    },
    observe: async () => ({ kind: "unavailable", reason: "slow" }),
    examine: async () => [],
    close: async () => undefined,
  };
  return { driver: inTurns(inner), log, finish: (name: string) => waiting.get(name)?.() };
}

/** After everything that needs no more than a turn of the loop. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
