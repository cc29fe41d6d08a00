import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { openDatabase, prepareDatabase, StoreTables } from "../../src/storage/database.ts";
import { migrations, pragma } from "../../src/storage/schema.ts";
import { RowSeal } from "../../src/storage/seal.ts";
import { comparable, makeRow } from "./rows.ts";
import { newKey, temporaryDirectory } from "./stores.ts";

const meta = { uuid: "3f3c2b0e-0000-4000-8000-000000000001", checkValue: "00", created: "2027-01-01T00:00:00.000Z" };
const second = {
  version: 2,
  statements: ["ALTER TABLE key_table ADD COLUMN note TEXT", "CREATE TABLE more (name TEXT PRIMARY KEY) STRICT"],
};

test("a migration adds to a store with rows, and their seals still open", (t) => {
  const path = join(temporaryDirectory(t), "keys.db");
  const seal = new RowSeal(newKey(), meta.uuid);
  const first = openDatabase(path, migrations);
  prepareDatabase(first, meta, migrations);
  new StoreTables(first.database, path).write([[{ kind: "put", row: seal.seal(makeRow()) }]]);
  first.database.close();

  const steps = [...migrations, second];
  const again = openDatabase(path, steps);
  assert.deepEqual(again.meta, meta, "nothing is migrated before the key-encryption key proved right");
  assert.equal(pragma(again.database, "user_version"), 1);
  prepareDatabase(again, meta, steps);
  assert.equal(pragma(again.database, "user_version"), 2);
  const { rows } = new StoreTables(again.database, path).read();
  assert.deepEqual(
    rows.map((row) => comparable(seal.open(row) ?? assert.fail("the seal is broken"))),
    [comparable(makeRow())],
  );
  again.database.close();
});

test("a migration that fails changes nothing", (t) => {
  const path = join(temporaryDirectory(t), "keys.db");
  const first = openDatabase(path, migrations);
  prepareDatabase(first, meta, migrations);
  const broken = [...migrations, { ...second, statements: [...second.statements, "CREATE NONSENSE"] }];
  assert.throws(() => prepareDatabase({ ...first, meta }, meta, broken), /syntax error/);
  assert.equal(pragma(first.database, "user_version"), 1);
  first.database.close();
  const plain = new DatabaseSync(path);
  assert.deepEqual(plain.prepare("SELECT name FROM sqlite_schema WHERE name = 'more'").all(), []);
  plain.close();
});

test("one group that cannot be stored does not take its neighbours along", (t) => {
  const path = join(temporaryDirectory(t), "keys.db");
  const opened = openDatabase(path, migrations);
  prepareDatabase(opened, meta, migrations);
  const tables = new StoreTables(opened.database, path);
  const bad = { kind: "put", row: { admin_key_name: "half a row" } } as const;
  const faults = tables.write([
    [{ kind: "setFact", name: "a", value: "1" }],
    [{ kind: "setFact", name: "b", value: "2" }, bad],
    [{ kind: "setFact", name: "c", value: "3" }],
  ]);
  assert.deepEqual(
    faults.map((fault) => fault?.code),
    [undefined, "io", undefined],
  );
  assert.deepEqual(tables.read().facts, [
    ["a", "1"],
    ["c", "3"],
  ]);
  opened.database.close();
});

test("settings that durability rests on", (t) => {
  const path = join(temporaryDirectory(t), "keys.db");
  const opened = openDatabase(path, migrations);
  prepareDatabase(opened, meta, migrations);
  const value = (name: string): unknown => Object.values(opened.database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
  assert.deepEqual(["journal_mode", "synchronous", "secure_delete", "foreign_keys", "locking_mode"].map(value), [
    "wal",
    2,
    1,
    1,
    "exclusive",
  ]);
  opened.database.close();
});
