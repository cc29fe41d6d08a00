import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Secret } from "@karp/ikev2";
import { StoreError } from "../../src/ports/keyStore.ts";
import { at, comparable, makeRow } from "./rows.ts";
import { newKey, openStore, temporaryDirectory } from "./stores.ts";

test("a row comes back with every field, also after a restart", async (t) => {
  const path = join(temporaryDirectory(t), "store", "keys.db");
  const key = newKey();
  const row = makeRow();
  const store = await openStore(path, key);
  await store.write([
    { kind: "put", row },
    { kind: "setFact", name: "freeze:r2", value: "1800000000000" },
  ]);
  await store.close();

  const again = await openStore(path, key);
  const { rows, facts } = await again.read();
  await again.close();
  assert.deepEqual(rows.map(comparable), [comparable(row)]);
  assert.deepEqual([...facts], [["freeze:r2", "1800000000000"]]);
});

test("optional fields stay absent and a tombstone has no key", async (t) => {
  const { store } = await freshStore(t);
  const { key: _key, replaces: _replaces, sendLifetimeEnd: _end, ...bare } = makeRow();
  const tombstone = { ...bare, state: "removed" as const };
  await store.write([{ kind: "put", row: tombstone }]);
  const [row] = (await store.read()).rows;
  assert.ok(row);
  assert.deepEqual(comparable(row), comparable(tombstone));
  assert.equal("key" in row, false);
  assert.equal("replaces" in row, false);
});

test("put replaces by AdminKeyName, delete and deleteFact remove", async (t) => {
  const { store } = await freshStore(t);
  await store.write([
    { kind: "put", row: makeRow() },
    { kind: "put", row: makeRow({ adminKeyName: "r2/0000000000000002", sendId: 8 }) },
    { kind: "setFact", name: "a", value: "1" },
    { kind: "setFact", name: "b", value: "2" },
  ]);
  await store.write([
    { kind: "put", row: makeRow({ generation: 5, state: "retiring" }) },
    { kind: "delete", adminKeyName: "r2/0000000000000002" },
    { kind: "deleteFact", name: "a" },
  ]);
  const { rows, facts } = await store.read();
  assert.deepEqual(
    rows.map((row) => [row.adminKeyName, row.generation, row.state]),
    [["r2/00112233445566aa", 5, "retiring"]],
  );
  assert.deepEqual([...facts.keys()], ["b"]);
});

test("writes that arrive together are all stored, in order, each promise after its own commit", async (t) => {
  const { store, reopen } = await freshStore(t);
  const writes = Array.from({ length: 500 }, (_, index) =>
    store.write([
      { kind: "put", row: makeRow({ generation: index }) },
      { kind: "setFact", name: `fact ${index}`, value: String(index) },
    ]),
  );
  await Promise.all(writes);
  await store.close();
  const { rows, facts } = await (await reopen()).read();
  assert.deepEqual(
    rows.map((row) => row.generation),
    [499],
  );
  assert.equal(facts.size, 500);
});

test("read sees the writes that were called before it", async (t) => {
  const { store } = await freshStore(t);
  const write = store.write([{ kind: "put", row: makeRow() }]);
  assert.equal((await store.read()).rows.length, 1);
  await write;
});

test("no key is in plain text in any file, neither its octets nor its hexadecimal digits", async (t) => {
  const directory = temporaryDirectory(t);
  const key = newKey();
  const store = await openStore(join(directory, "keys.db"), key);
  const masterKeys = Array.from({ length: 20 }, (_, index) => Buffer.from(`the master key ${index}`.padEnd(20, "#")));
  for (const [index, octets] of masterKeys.entries()) {
    const row = makeRow({ adminKeyName: `r2/${index}`, key: new Secret(new Uint8Array(octets)) });
    await store.write([{ kind: "put", row }]);
  }
  const whileOpen = allOctets(directory); // the write-ahead log as well
  await store.close();
  const octets = Buffer.concat([whileOpen, allOctets(directory)]);
  assert.ok(octets.includes("r2.example.net"), "the search itself works: open columns are found");
  for (const masterKey of masterKeys) {
    assert.equal(octets.includes(masterKey), false);
    assert.equal(octets.toString("latin1").toLowerCase().includes(masterKey.toString("hex")), false);
    assert.equal(octets.includes(masterKey.toString("base64")), false);
  }
  key.expose((kek) => assert.equal(octets.includes(Buffer.from(kek)), false));
});

test("directory 0700, every file 0600, whatever the umask", async (t) => {
  const directory = join(temporaryDirectory(t), "new", "store");
  const before = process.umask(0);
  t.after(() => process.umask(before));
  const store = await openStore(join(directory, "keys.db"), newKey());
  await store.write([{ kind: "put", row: makeRow() }]);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  const files = readdirSync(directory).sort();
  assert.deepEqual(files, ["keys.db", "keys.db-wal", "keys.db.holder"]);
  for (const file of files) assert.equal(statSync(join(directory, file)).mode & 0o777, 0o600, file);
  await store.close();
});

test("a closed store refuses writes and reads; closing twice is fine", async (t) => {
  const { store } = await freshStore(t);
  await store.close();
  await store.close();
  const isClosed = (error: unknown): boolean => error instanceof StoreError && error.code === "io";
  await assert.rejects(store.write([{ kind: "put", row: makeRow() }]), isClosed);
  await assert.rejects(store.read(), isClosed);
});

test("close waits for the writes that were called before it", async (t) => {
  const { store, reopen } = await freshStore(t);
  const writes = [1, 2, 3].map((generation) => store.write([{ kind: "put", row: makeRow({ generation }) }]));
  await store.close();
  await Promise.all(writes);
  assert.deepEqual(
    (await (await reopen()).read()).rows.map((row) => row.generation),
    [3],
  );
});

test("instants with fractions are stored as whole milliseconds", async (t) => {
  const { store } = await freshStore(t);
  await store.write([{ kind: "put", row: makeRow({ softExpiresAt: at(1_800_000_000_000.6) }) }]);
  assert.equal((await store.read()).rows[0]?.softExpiresAt, 1_800_000_000_001);
});

async function freshStore(t: Parameters<typeof temporaryDirectory>[0]) {
  const path = join(temporaryDirectory(t), "keys.db");
  const key = newKey();
  const reopen = async () => {
    const store = await openStore(path, key);
    t.after(() => store.close());
    return store;
  };
  return { store: await reopen(), reopen };
}

function allOctets(directory: string): Buffer {
  return Buffer.concat(readdirSync(directory).map((file) => readFileSync(join(directory, file))));
}
