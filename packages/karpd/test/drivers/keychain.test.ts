import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmod, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createKeychainDriver } from "../../src/drivers/keychain/driver.ts";
import { context, folder, key, sessionOf } from "./support.ts";

interface Document {
  readonly format: string;
  readonly version: number;
  readonly key: readonly Readonly<Record<string, unknown>>[];
}

async function document(file: string): Promise<Document> {
  return JSON.parse(await readFile(file, "utf8"));
}

test("keychain: the file is 0600, and a whole one takes its place", async (t) => {
  const directory = folder(t);
  const file = `${directory}/r2.json`;
  const driver = createKeychainDriver(context());
  await driver.apply(sessionOf("keychain", { file }), [key(1, "preferred")]);
  const before = await stat(file);
  await driver.apply(sessionOf("keychain", { file }), [key(1, "preferred"), key(2, "accept")]);
  const after = await stat(file);
  assert.equal(after.mode & 0o777, 0o600);
  assert.notEqual(before.ino, after.ino);
  assert.deepEqual(await readdir(directory), ["r2.json"]);
});

test("keychain: format 1 as documented", async (t) => {
  const file = `${folder(t)}/r2.json`;
  const keys = [key(1, "preferred"), key(2, "accept", { algorithm: "hmac-sha-1-96", coversTcpOptions: false })];
  await createKeychainDriver(context()).apply(sessionOf("keychain", { file }), keys);
  const { format, version, key: entries } = await document(file);
  assert.deepEqual([format, version, entries.length], ["karp-keychain", 1, 2]);
  const octets = keys[0]?.masterKey.expose((raw) =>
    Array.from(raw, (octet) => octet.toString(16).padStart(2, "0")).join(":"),
  );
  // The name that karp shows: first 8 octets of SHA-256("karp mkt" | 0x00 | key)
  const fingerprints = keys.map(({ masterKey }) =>
    masterKey.expose((raw) => createHash("sha256").update("karp mkt\0").update(raw).digest("hex").slice(0, 16)),
  );
  assert.deepEqual(
    entries.map((entry) => entry["fingerprint"]),
    fingerprints,
  );
  assert.deepEqual(entries[0], {
    "admin-key-name": "r2/0000000000000001",
    fingerprint: fingerprints[0],
    "send-id": 2,
    "recv-id": 3,
    "crypto-algorithm": "aes-cmac-prf-128",
    "mac-bits": 96,
    "covers-tcp-options": true,
    use: "preferred",
    "key-string": { "hexadecimal-string": octets },
  });
  assert.deepEqual([entries[1]?.["crypto-algorithm"], entries[1]?.["covers-tcp-options"]], ["hmac-sha-1-12", false]);
});

test("keychain: a folder that is not there is refused and found by examine", async (t) => {
  const session = sessionOf("keychain", { file: `${folder(t)}/missing/r2.json` });
  const driver = createKeychainDriver(context());
  assert.equal((await driver.apply(session, [key(1, "preferred")])).kind, "refused");
  assert.match((await driver.examine(session))[0]?.text ?? "", /cannot write into .*missing/);
});

test("keychain: examine finds a file that others may read", async (t) => {
  const file = `${folder(t)}/r2.json`;
  const driver = createKeychainDriver(context());
  await driver.apply(sessionOf("keychain", { file }), [key(1, "preferred")]);
  assert.equal((await driver.examine(sessionOf("keychain", { file })))[0]?.severity, "ok");
  await chmod(file, 0o644);
  assert.match((await driver.examine(sessionOf("keychain", { file })))[0]?.text ?? "", /can be read by others/);
});

test("keychain: a file that others could read is 0600 again with the next apply, and that is said", async (t) => {
  const file = `${folder(t)}/r2.json`;
  const ctx = context();
  const driver = createKeychainDriver(ctx);
  const session = sessionOf("keychain", { file });
  await driver.apply(session, [key(1, "preferred")]);
  await chmod(file, 0o644);
  assert.deepEqual(await driver.apply(session, [key(1, "preferred")]), { kind: "installed" });
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.match(ctx.lines.join("\n"), /warning keychain: r2: .* was not 0600; it is now: .*karp rekey r2/);
});

test("keychain: two sessions with one file do not take turns in removing each other's keys", async (t) => {
  const file = `${folder(t)}/both.json`;
  const driver = createKeychainDriver(context());
  await driver.apply(sessionOf("keychain", { file }), [key(1, "preferred")]);
  const outcome = await driver.apply(sessionOf("keychain", { file }, { name: "r3" }), [key(2, "preferred")]);
  assert.equal(outcome.kind, "foreign");
  assert.match(JSON.stringify(outcome), /has the keys of session r2: give each session a file of its own/);
  assert.equal((await document(file)).key[0]?.["send-id"], key(1, "accept").sendId);
});

test("keychain: a file of a newer karp is replaced, half a file or another program's is not", async (t) => {
  const file = `${folder(t)}/r2.json`;
  const driver = createKeychainDriver(context());
  const session = sessionOf("keychain", { file });
  for (const foreign of ['{"format":"karp-keychain","version":1,"ke', "[]", "null", '"x"', '{"format":"other"}']) {
    await writeFile(file, foreign, { mode: 0o600 });
    assert.equal((await driver.apply(session, [key(1, "preferred")])).kind, "foreign", foreign);
    assert.equal(await readFile(file, "utf8"), foreign);
  }
  await writeFile(file, JSON.stringify({ format: "karp-keychain", version: 2, session: "r2", key: [] }));
  assert.deepEqual(await driver.apply(session, [key(1, "preferred")]), { kind: "installed" });
});

test("keychain: a link, and a folder that everyone may write, are refused or found by examine", async (t) => {
  const directory = folder(t);
  const driver = createKeychainDriver(context());
  const session = sessionOf("keychain", { file: `${directory}/r2.json` });
  await symlink("elsewhere.json", `${directory}/r2.json`);
  assert.match(JSON.stringify(await driver.apply(session, [key(1, "preferred")])), /"refused".*is a symbolic link/);
  assert.match((await driver.examine(session))[0]?.text ?? "", /is a symbolic link: name the file itself/);
  const open = sessionOf("keychain", { file: `${directory}/other.json` });
  await chmod(directory, 0o777);
  assert.match((await driver.examine(open))[0]?.text ?? "", /everyone may replace files in .*chmod o-w/);
});
