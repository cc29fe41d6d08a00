import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { Secret } from "@karp/ikev2";
import { StoreError, type StoreErrorCode } from "../../src/ports/keyStore.ts";
import { loadKeyEncryptionKey } from "../../src/storage/keyEncryptionKey.ts";
import { comparable, makeRow } from "./rows.ts";
import { newKey, openStore, temporaryDirectory } from "./stores.ts";

const isRoot = process.getuid?.() === 0;

test("wrong key-encryption key: said, and the store stays as it was", async (t) => {
  const { path, key } = await filledStore(t);
  await refusedUntouched(path, newKey(), "wrongKey", /sealed with another key-encryption key: put the right key file/);
  await stillReadable(path, key);
});

test("damaged row: a changed column breaks its seal, the row is named, the store stays as it was", async (t) => {
  const changes = [
    "local_key_name = '00'",
    "peer_key_name = '09'",
    "session = 'r3'",
    "generation = generation + 1",
    "peer_identity = 'evil.example.net'",
    "hard_expires_at = NULL",
    "sealed_schema = 2",
    "sealed_key = zeroblob(44)",
    "sealed_key = x'00'",
  ];
  for (const change of changes) {
    const { path, key } = await filledStore(t);
    alter(path, `UPDATE key_table SET ${change} WHERE admin_key_name = 'r2/1'`);
    const before = digest(path);
    const store = await openStore(path, key);
    const message = /damaged rows: r2\/1: restore it from a copy.*delete these rows .*: the other 2 are whole/;
    await assert.rejects(store.read(), isFault("damaged", message), change);
    await store.close();
    assert.equal(digest(path), before, change);
    alter(path, "DELETE FROM key_table WHERE admin_key_name = 'r2/1'");
    await stillReadable(path, key, ["r2/0", "r2/2"]);
  }
});

test("damaged row: a name that is no name does not get onto the terminal", async (t) => {
  const { path, key } = await filledStore(t);
  alter(path, "UPDATE key_table SET admin_key_name = char(27) || '[2J' || char(10) WHERE admin_key_name = 'r2/1'");
  const store = await openStore(path, key);
  await assert.rejects(store.read(), isFault("damaged", /damaged rows: \?\[2J\?: /));
  await store.close();
});

test("an older copy in place of the store: its rows are read, and no row of another moment opens among them", async (t) => {
  const { path, key } = await filledStore(t);
  const older = readFileSync(path);
  const store = await openStore(path, key);
  await store.write([
    { kind: "put", row: makeRow({ adminKeyName: "r2/0", generation: 9, state: "retiring" }) },
    { kind: "put", row: makeRow({ adminKeyName: "r2/new" }) },
    { kind: "delete", adminKeyName: "r2/2" },
  ]);
  await store.close();
  const newer = `${path}.newer`;
  writeFileSync(newer, readFileSync(path), { mode: 0o600 });
  writeFileSync(path, older);
  await stillReadable(path, key);
  // the new state with the old key: the seal covers the generation
  const state = "(SELECT sealed_key FROM newer.key_table WHERE admin_key_name = 'r2/0')";
  alter(path, `ATTACH '${newer}' AS newer; UPDATE key_table SET sealed_key = ${state} WHERE admin_key_name = 'r2/0'`);
  const mixed = await openStore(path, key);
  await assert.rejects(mixed.read(), isFault("damaged", /r2\/0/));
  await mixed.close();
});

test("the file or its write-ahead log replaced or removed while the store is open: no write is confirmed any more", async (t) => {
  const changes: readonly ((path: string) => void)[] = [
    (path) => {
      writeFileSync(`${path}.older`, readFileSync(path));
      renameSync(`${path}.older`, path);
    },
    (path) => rmSync(path),
    (path) => renameSync(path, `${path}.aside`),
    (path) => rmSync(`${path}-wal`),
    (path) => {
      rmSync(`${path}-wal`);
      writeFileSync(`${path}-wal`, "");
    },
  ];
  for (const change of changes) {
    const { path, key } = await filledStore(t);
    const store = await openStore(path, key);
    await store.write([{ kind: "setFact", name: "a", value: "1" }]);
    change(path);
    const writes = ["b", "c"].map((name) => store.write([{ kind: "setFact", name, value: "2" }]));
    for (const write of writes) {
      await assert.rejects(write, isFault("io", /was moved, removed or replaced while karp runs; .*restart karp/));
    }
    assert.equal((await store.read()).facts.has("b"), false);
    await store.close();
  }
});

test("somebody else's file or directory is refused although it could be read", {
  skip: !isRoot && "needs root to give a file away",
}, async (t) => {
  const { path, key, directory } = await filledStore(t);
  for (const victim of [path, directory]) {
    chownSync(victim, 65534, 65534);
    const message = new RegExp(`${victim} belongs to user 65534, and karp runs as user 0: .*chown 0 ${victim}`);
    await refusedUntouched(path, key, "permission", message);
    chownSync(victim, 0, 0);
  }
  await stillReadable(path, key);
  const kek = join(directory, "kek");
  writeFileSync(kek, Buffer.alloc(32), { mode: 0o600 });
  chownSync(kek, 65534, 65534);
  const options = { path: kek, storePath: path, create: true };
  await assert.rejects(loadKeyEncryptionKey(options), isFault("permission", /kek belongs to user 65534/));
});

test("a directory that is a symbolic link to a private one is fine", async (t) => {
  const { directory, key } = await filledStore(t);
  const link = join(temporaryDirectory(t), "link");
  symlinkSync(directory, link);
  await stillReadable(join(link, "keys.db"), key);
});

test("damaged row: a key moved to another row does not open", async (t) => {
  const { path, key } = await filledStore(t);
  const other = "(SELECT sealed_key FROM key_table WHERE admin_key_name = 'r2/2')";
  alter(path, `UPDATE key_table SET sealed_key = ${other} WHERE admin_key_name = 'r2/1'`);
  const store = await openStore(path, key);
  await assert.rejects(store.read(), isFault("damaged", /r2\/1/));
  await store.close();
});

test("damaged row: a row copied from another store of the same key-encryption key does not open", async (t) => {
  const key = newKey();
  const first = await filledStore(t, key);
  const second = await filledStore(t, key);
  alter(
    second.path,
    `ATTACH '${first.path}' AS other; DELETE FROM key_table; INSERT INTO key_table SELECT * FROM other.key_table`,
  );
  const store = await openStore(second.path, key);
  await assert.rejects(store.read(), isFault("damaged", /r2\/0, r2\/1, r2\/2/));
  await store.close();
});

test("damaged page: said at open, the store stays as it was", async (t) => {
  const { path, key } = await filledStore(t, newKey(), 200);
  const octets = readFileSync(path);
  octets.fill(0x55, 4096 * 5, 4096 * 8);
  writeFileSync(path, octets);
  await refusedUntouched(path, key, "damaged", /is damaged .*restore it from a copy, or move it away/);
});

test("a truncated store and a file that is no database are damaged, and stay as they were", async (t) => {
  const { path, key } = await filledStore(t, newKey(), 50);
  truncateSync(path, 4096 * 2 + 100);
  await refusedUntouched(path, key, "damaged", /damaged/);
  writeFileSync(path, "sessions: this is not a database\n".repeat(200));
  await refusedUntouched(path, key, "damaged", /damaged/);
});

test("another program's database is refused and stays as it was", async (t) => {
  const path = join(temporaryDirectory(t), "keys.db");
  writeFileSync(path, "", { mode: 0o600 });
  alter(path, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
  await refusedUntouched(path, newKey(), "damaged", /is no key store of karp: name another file/);
});

test("newer schema: said with both versions, the store stays as it was", async (t) => {
  const { path, key } = await filledStore(t);
  alter(path, "PRAGMA user_version = 99");
  await refusedUntouched(path, key, "newerSchema", /has schema 99, this karp knows up to 1: install the newer karp/);
});

test("full disk: the write is refused, earlier rows stay, and writing goes on when there is space", {
  skip: mountable(),
}, async (t) => {
  const directory = mounted(t, "size=200k,mode=0700");
  const path = join(directory, "keys.db");
  const key = newKey();
  const store = await openStore(path, key);
  await store.write([{ kind: "put", row: makeRow() }]);

  const ballast = join(directory, "ballast");
  writeFileSync(ballast, Buffer.alloc(statSync(directory).blksize)); // exists while there is room
  spawnSync("dd", ["if=/dev/zero", `of=${ballast}`, "bs=4096"], { stdio: "ignore" });
  const many = Array.from({ length: 40 }, (_, index) => makeRow({ adminKeyName: `r2/${index}` }));
  await assert.rejects(
    store.write(many.map((row) => ({ kind: "put", row }) as const)),
    isFault("full", /no space left for the key store .*: free some; nothing was changed/),
  );
  assert.deepEqual((await store.read()).rows.map(comparable), [comparable(makeRow())]);

  truncateSync(ballast, 0);
  await store.write([{ kind: "put", row: makeRow({ adminKeyName: "r2/after" }) }]);
  await store.close();
  await stillReadable(path, key, ["r2/00112233445566aa", "r2/after"]);
});

test("full disk at first start: said, and no half store is left that would be refused later", {
  skip: mountable(),
}, async (t) => {
  const directory = mounted(t, "size=16k,mode=0700");
  const path = join(directory, "keys.db");
  const key = newKey();
  await assert.rejects(openStore(path, key), isFault("full", /no space left/));
  spawnSync("mount", ["-o", "remount,size=1m", directory]);
  const store = await openStore(path, key);
  assert.deepEqual((await store.read()).rows, []);
  await store.close();
});

test("read-only file system: said, the store stays as it was", { skip: mountable() }, async (t) => {
  const directory = mounted(t, "size=1m,mode=0700");
  const path = join(directory, "keys.db");
  const key = newKey();
  await (await openStore(path, key)).close();
  spawnSync("mount", ["-o", "remount,ro", directory]);
  await refusedUntouched(path, key, "readOnly", /cannot be written: is its file system mounted read-only\?/);
  await assert.rejects(openStore(join(directory, "new.db"), key), isFault("readOnly", /read-only/));
});

test("readable by others: file and directory are refused with the chmod to type", async (t) => {
  const { path, key, directory } = await filledStore(t);
  for (const mode of [0o644, 0o640, 0o660, 0o602]) {
    chmodSync(path, mode);
    await refusedUntouched(path, key, "permission", new RegExp(`mode 0${mode.toString(8)}, .*: chmod 600 ${path}`));
  }
  chmodSync(path, 0o600);
  chmodSync(directory, 0o755);
  await refusedUntouched(path, key, "permission", new RegExp(`mode 0755, .*: chmod 700 ${directory}`));
});

test("a directory in place of the store file is refused", async (t) => {
  const path = join(temporaryDirectory(t), "keys.db");
  mkdirSync(path, { mode: 0o700 });
  await assert.rejects(openStore(path, newKey()), isFault("permission", /is not a plain file/));
});

test("no permission: somebody else's store is refused", {
  skip: !isRoot && "needs root to become another user",
}, async (t) => {
  const { path, directory } = await filledStore(t);
  chmodSync(directory, 0o700);
  const program = `
    const { openKeyStore } = await import(${JSON.stringify(sourceOf("openKeyStore.ts"))});
    const { Secret } = await import("@karp/ikev2");
    process.setgid(65534); process.setuid(65534);
    await openKeyStore({ path: ${JSON.stringify(path)}, keyEncryptionKey: new Secret(new Uint8Array(32)) })
      .then(() => console.log("opened"), (error) => console.log(error.code + ": " + error.message));`;
  const child = spawnSync(process.execPath, ["--input-type=module", "--eval", program], { cwd: import.meta.dirname });
  assert.match(child.stdout.toString(), /^permission: no permission to use the key store/, child.stderr.toString());
});

test("a second daemon is refused with the process id of the first; its rows are safe", async (t) => {
  const { path, key } = await filledStore(t, fixedKey());
  const holder = await holdInOtherProcess(t, path);
  const before = digest(path);
  await assert.rejects(
    openStore(path, key),
    isFault("locked", new RegExp(`is in use by process ${holder.pid} since 20.*: only one karp at a time`)),
  );
  assert.equal(digest(path), before);
  await killed(holder);
  await stillReadable(path, key);
});

test("kill -9 of the holder frees the lock without manual clean-up", async (t) => {
  const { path, key } = await filledStore(t, fixedKey());
  await killed(await holdInOtherProcess(t, path));
  assert.equal(existsSync(`${path}.holder`), true, "the killed process left its note");
  await stillReadable(path, key);
  assert.equal(existsSync(`${path}.holder`), false);
});

test("the same process cannot open a store twice", async (t) => {
  const { path, key } = await filledStore(t);
  const store = await openStore(path, key);
  await assert.rejects(openStore(path, key), isFault("locked", new RegExp(`by process ${process.pid}`)));
  await store.write([{ kind: "setFact", name: "still", value: "usable" }]);
  await store.close();
});

test("kill -9 during writes loses no write that was confirmed", async (t) => {
  const path = join(temporaryDirectory(t), "keys.db");
  const child = program(
    t,
    path,
    `
    for (let index = 0; ; index++) {
      await store.write([{ kind: "setFact", name: "n" + index, value: "1" }]);
      console.log(index);
    }`,
  );
  let confirmed = -1;
  for await (const line of createInterface({ input: child.stdout })) {
    confirmed = Number(line);
    if (confirmed >= 100) break;
  }
  await killed(child);
  const store = await openStore(path, fixedKey());
  const { facts } = await store.read();
  await store.close();
  for (let index = 0; index <= confirmed; index++) assert.equal(facts.get(`n${index}`), "1", `write ${index}`);
});

test("key-encryption key: made on first start with mode 0600, read again after", async (t) => {
  const directory = temporaryDirectory(t);
  const options = { path: join(directory, "secret", "kek"), storePath: join(directory, "keys.db"), create: true };
  const first = await loadKeyEncryptionKey(options);
  const again = await loadKeyEncryptionKey(options);
  assert.equal(first.length, 32);
  assert.equal(hex(first), hex(again));
  assert.equal(statSync(options.path).mode & 0o777, 0o600);
  assert.equal(statSync(join(directory, "secret")).mode & 0o777, 0o700);
});

test("key-encryption key: killed at any moment of the first start, the next start has one and nothing else lies about", async (t) => {
  const lengths = new Set<number>();
  let isKilled = true;
  for (let step = 0; isKilled; step++) {
    const directory = temporaryDirectory(t);
    const options = { path: join(directory, "kek"), storePath: join(directory, "keys.db"), create: true };
    isKilled = loadedUntil(step, options) === "SIGKILL";
    const left = existsSync(options.path) ? readFileSync(options.path) : Buffer.alloc(0);
    lengths.add(left.length);
    const key = await loadKeyEncryptionKey(options);
    if (left.length > 0) assert.equal(hex(key), left.toString("hex"), `step ${step}`);
    assert.equal(hex(await loadKeyEncryptionKey(options)), hex(key), `step ${step}`);
    assert.deepEqual(readdirSync(directory), ["kek"], `step ${step}`);
  }
  assert.deepEqual([...lengths].sort(), [0, 32], "all of it or nothing");
});

test("key-encryption key: of several first starts at once one makes it, and all have the same", async (t) => {
  const directory = temporaryDirectory(t);
  const options = { path: join(directory, "kek"), storePath: join(directory, "keys.db"), create: true };
  const keys = await Promise.all(Array.from({ length: 8 }, () => loadKeyEncryptionKey(options)));
  assert.equal(new Set(keys.map(hex)).size, 1);
});

test("key-encryption key missing beside an existing store: no new one is made", async (t) => {
  const { path, directory } = await filledStore(t);
  const options = { path: join(directory, "kek"), storePath: path, create: true };
  await assert.rejects(
    loadKeyEncryptionKey(options),
    isFault("wrongKey", /is missing, but there is a key store .*: put the key back/),
  );
  assert.equal(existsSync(options.path), false);
});

test("key-encryption key: wrong length, readable by others, or a missing credential is refused", async (t) => {
  const directory = temporaryDirectory(t);
  const options = { path: join(directory, "kek"), storePath: join(directory, "keys.db"), create: true };
  await assert.rejects(
    loadKeyEncryptionKey({ ...options, create: false }),
    isFault("wrongKey", /kek is missing: put it there/),
  );
  writeFileSync(options.path, Buffer.alloc(31), { mode: 0o600 });
  await assert.rejects(loadKeyEncryptionKey(options), isFault("wrongKey", /has 31 octets instead of 32/));
  writeFileSync(options.path, Buffer.alloc(32));
  chmodSync(options.path, 0o644);
  await assert.rejects(loadKeyEncryptionKey(options), isFault("permission", /mode 0644, .*chmod 600/));
});

// ---- below: the helpers

async function filledStore(t: TestContext, key = newKey(), rows = 3) {
  const directory = temporaryDirectory(t);
  const path = join(directory, "keys.db");
  const store = await openStore(path, key);
  const names = Array.from({ length: rows }, (_, index) => `r2/${index}`);
  await store.write(names.map((adminKeyName) => ({ kind: "put", row: makeRow({ adminKeyName }) }) as const));
  await store.close();
  return { directory, path, key };
}

/** Opens with the expected fault and asserts that not one octet of any file of the store changed. */
async function refusedUntouched(path: string, key: Secret, code: StoreErrorCode, message: RegExp): Promise<void> {
  const before = digest(path);
  await assert.rejects(openStore(path, key), isFault(code, message));
  assert.equal(digest(path), before);
}

async function stillReadable(path: string, key: Secret, names = ["r2/0", "r2/1", "r2/2"]): Promise<void> {
  const store = await openStore(path, key);
  const { rows } = await store.read();
  await store.close();
  assert.deepEqual(rows.map((row) => row.adminKeyName).sort(), [...names].sort());
}

function isFault(code: StoreErrorCode, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof StoreError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

function digest(path: string): string {
  const hash = createHash("sha256");
  const directory = join(path, "..");
  for (const file of readdirSync(directory)
    .filter((name) => !name.endsWith(".holder"))
    .sort()) {
    hash.update(file).update(readFileSync(join(directory, file)));
  }
  return hash.digest("hex");
}

function alter(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
}

function hex(secret: Secret): string {
  return secret.expose((octets) => Buffer.from(octets).toString("hex"));
}

function fixedKey(): Secret {
  return new Secret(new Uint8Array(32).fill(7));
}

function sourceOf(file: string): string {
  return new URL(`../../src/storage/${file}`, import.meta.url).href;
}

/** A process of its own that opens the store with fixedKey and then runs `body`. */
function program(t: TestContext, path: string, body: string) {
  const source = `
    const { openKeyStore } = await import(${JSON.stringify(sourceOf("openKeyStore.ts"))});
    const { Secret } = await import("@karp/ikev2");
    const keyEncryptionKey = new Secret(new Uint8Array(32).fill(7));
    const store = await openKeyStore({ path: ${JSON.stringify(path)}, keyEncryptionKey });
    ${body}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

/** A process that holds the store; resolves when it does. Its store must have been made with fixedKey. */
async function holdInOtherProcess(t: TestContext, path: string): Promise<ChildProcess> {
  const child = program(t, path, `console.log("held"); setInterval(() => {}, 60000);`);
  for await (const line of createInterface({ input: child.stdout })) {
    assert.equal(line, "held");
    break;
  }
  return child;
}

/** The signal that ended a process which loads a key and dies before its effect number `step`; null: it came to its end. */
function loadedUntil(step: number, options: object): string | null {
  const program = `
    import fs from "node:fs/promises";
    import { syncBuiltinESMExports } from "node:module";
    let left = ${step};
    const dyingAt = (target, name) => {
      const original = target[name];
      target[name] = function (...values) {
        if (left-- === 0) process.kill(process.pid, "SIGKILL");
        return original.apply(this, values);
      };
    };
    const handle = await fs.open("/dev/null");
    for (const name of ["writeFile", "sync", "close"]) dyingAt(Object.getPrototypeOf(handle), name);
    for (const name of ["open", "link", "unlink"]) dyingAt(fs, name);
    syncBuiltinESMExports();
    const { loadKeyEncryptionKey } = await import(${JSON.stringify(sourceOf("keyEncryptionKey.ts"))});
    await loadKeyEncryptionKey(${JSON.stringify(options)});`;
  const { signal, status, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program]);
  assert.ok(signal === "SIGKILL" || status === 0, stderr.toString());
  return signal;
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

function mountable(): string | false {
  return isRoot ? false : "needs root to mount a small file system";
}

/** A small file system of its own, gone after the test. */
function mounted(t: TestContext, options: string): string {
  const directory = mkdtempSync(join(tmpdir(), "karp-store-"));
  const result = spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", directory]);
  assert.equal(result.status, 0, result.stderr.toString());
  t.after(() => {
    spawnSync("umount", ["-l", directory]);
    rmSync(directory, { recursive: true });
  });
  return directory;
}
