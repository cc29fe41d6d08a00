import assert from "node:assert/strict";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Secret } from "@karp/ikev2";
import { createExecDriver } from "../../src/drivers/exec/driver.ts";
import { createKeychainDriver } from "../../src/drivers/keychain/driver.ts";
import type { DriverKey } from "../../src/ports/routingDriver.ts";
import { context, folder, key, sessionOf } from "./support.ts";

const root = join(import.meta.dirname, "../../../..");

/** The key of the examples. */
const shown: DriverKey = key(1, "preferred", {
  adminKeyName: "r2/0123456789abcdef",
  sendId: 11,
  recvId: 12,
  masterKey: new Secret(Uint8Array.from({ length: 16 }, (_, index) => 0x11 * index)),
});

for (const page of ["docs/guide/keychain.md", "packages/karpd/src/drivers/keychain/README.md"]) {
  test(`${page}: the example is the file that karp writes`, async (t) => {
    const file = `${folder(t)}/r2.json`;
    await createKeychainDriver(context()).apply(sessionOf("keychain", { file }), [shown]);
    assert.equal(oneLine(await blockOf(page, "json")), oneLine(await readFile(file, "utf8")));
  });
}

for (const page of ["docs/guide/exec.md", "packages/karpd/src/drivers/exec/README.md"]) {
  test(`${page}: the example is the request that a program gets`, async (t) => {
    const directory = folder(t);
    const program = `${directory}/program.sh`;
    await writeFile(program, `#!/bin/sh\ncat > ${directory}/request\n`, { mode: 0o755 });
    await createExecDriver(context()).apply(sessionOf("exec", { command: [program] }), [shown]);
    const request = await readFile(`${directory}/request`, "utf8");
    assert.deepEqual(JSON.parse(await blockOf(page, "json")), JSON.parse(request));
    assert.equal(oneLine(await blockOf(page, "json")), request.trimEnd());
    assert.equal(request.indexOf("\n"), request.length - 1, "one line");
  });
}

test("docs/guide/keychain.md: every member is described, and none that does not exist", async (t) => {
  const file = `${folder(t)}/r2.json`;
  await createKeychainDriver(context()).apply(sessionOf("keychain", { file }, { vrf: "blue" }), [shown]);
  const document = JSON.parse(await readFile(file, "utf8"));
  const members = [...Object.keys(document), ...Object.keys(document.key[0])];
  const rows = (await pageText("docs/guide/keychain.md")).split("\n").filter((line) => line.startsWith("| `"));
  const described = rows.flatMap((row) =>
    Array.from((row.split(" | ")[0] ?? "").matchAll(/`([^`]+)`/g), ([, name]) => name),
  );
  assert.deepEqual(described.sort(), members.sort());
});

test("docs/guide/exec.md: the example program does what it says", async (t) => {
  const { driver, session, directory } = await exampleProgram(t);
  const both = [key(1, "preferred"), key(2, "accept", { algorithm: "hmac-sha-1-96" })];
  assert.deepEqual(await driver.apply(session, both), { kind: "installed" });
  const hex = both.map(({ masterKey }) => masterKey.expose((octets) => Buffer.from(octets).toString("hex")));
  const text = await readFile(`${directory}/r2.keys`, "utf8");
  assert.equal(text, `2 3 cmac preferred ${hex[0]}\n4 5 sha1 accept ${hex[1]}\n`);
  assert.equal((await stat(`${directory}/r2.keys`)).mode & 0o777, 0o600);
  assert.deepEqual(await driver.apply(session, both), { kind: "installed" }, "again");

  const wrong = key(3, "accept", { algorithm: "hmac-sha-256-128" });
  assert.deepEqual(await driver.apply(session, [...both, wrong]), {
    kind: "refused",
    reason: "mydaemon has no hmac-sha-256-128",
    adminKeyNames: [wrong.adminKeyName],
  });
  assert.equal(await readFile(`${directory}/r2.keys`, "utf8"), text);

  assert.deepEqual(await driver.revoke(session, [key(2, "preferred")]), { kind: "revoked" });
  assert.match(await readFile(`${directory}/r2.keys`, "utf8"), /^4 5 cmac preferred [0-9a-f]{32}\n$/);
  assert.deepEqual(await readdir(directory), ["r2.keys"]);
});

test("docs/guide/exec.md: each outcome and each way to fail counts as the tables say", async (t) => {
  const page = await pageText("docs/guide/exec.md");
  const answers = Array.from(page.matchAll(/^\|.*\| `(\{"outcome":"(\w+)".*?\})` \|/gm), ([, json = "", kind]) => ({
    json,
    kind,
  }));
  assert.equal(answers.length, 7);
  const programs = answers.map(({ json, kind }) => ({ body: `printf '%s' '${json}'`, kind }));
  const failures = [
    { body: "exit 3", kind: "pending" },
    { body: "kill -TERM $$", kind: "pending" },
    { body: "sleep 1000", kind: "pending" },
    { body: "echo ok", kind: "refused" },
    { body: `printf '{"outcome":"installed"}'; head -c 70000 /dev/zero | tr '\\0' ' '`, kind: "refused" },
  ];
  for (const { body, kind } of [...programs, ...failures]) {
    const path = `${folder(t)}/program.sh`;
    await writeFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    const session = sessionOf("exec", { command: [path], timeout: body.startsWith("sleep") ? "500ms" : "30s" });
    const driver = createExecDriver(context());
    const isRevocation = kind === "revoked" || kind === "failed";
    const outcome = await (isRevocation ? driver.revoke(session, []) : driver.apply(session, [shown]));
    assert.equal(outcome.kind, kind, body);
    if (!isRevocation && kind !== "installed") continue;
    assert.equal("reason" in outcome, kind === "failed", body);
  }
  for (const { body } of failures) {
    const path = `${folder(t)}/program.sh`;
    await writeFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    const session = sessionOf("exec", { command: [path], timeout: body.startsWith("sleep") ? "500ms" : "30s" });
    assert.equal((await createExecDriver(context()).revoke(session, [])).kind, "failed", body);
  }
});

async function exampleProgram(t: TestContext) {
  const home = folder(t);
  const directory = `${home}/keys.d`;
  await mkdir(directory);
  const path = `${home}/karp-mydaemon.cjs`;
  await writeFile(path, await blockOf("docs/guide/exec.md", "js"), { mode: 0o755 });
  const session = sessionOf("exec", { command: [process.execPath, path, directory] });
  return { driver: createExecDriver(context()), session, directory };
}

/** The page's first block of code in this language. */
async function blockOf(page: string, language: string): Promise<string> {
  const [, block] = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(await pageText(page)) ?? [];
  assert.ok(block !== undefined, `${page} has no block of ${language}`);
  return block;
}

function pageText(page: string): Promise<string> {
  return readFile(join(root, page), "utf8");
}

/** JSON with its members in their order, without white space. */
function oneLine(json: string): string {
  return JSON.stringify(JSON.parse(json));
}
