import { DatabaseSync, type StatementSync } from "node:sqlite";
import { StoreError } from "../ports/keyStore.ts";
import { openColumnNames, type SqlValue, type StoredRow } from "./columns.ts";
import { faultOf, storeErrorOf } from "./faults.ts";
import { describeHolder, recordHolder } from "./holder.ts";
import { OpenFiles } from "./openFiles.ts";
import type { StoreContents, StoreFault, StoreMeta, WriteGroup, WriteOperation } from "./protocol.ts";
import { applicationId, latestVersion, type Migration, migrate, pragma, transaction } from "./schema.ts";

/** How long a predecessor that is just closing may hold the file. */
const lockWaitMilliseconds = 1000;

export interface OpenedDatabase {
  readonly database: DatabaseSync;
  /** Undefined: a new, empty store. */
  readonly meta: StoreMeta | undefined;
}

/**
 * Opens and locks the file and looks at it; changes nothing on disk, for whether this is our store and our key is not
 * known yet. Throws a StoreError.
 *
 * The lock is SQLite's own in `locking_mode = EXCLUSIVE`: a POSIX lock that the operating system drops when the
 * process ends, however it ends. (Such a lock is also lost when the process closes another descriptor of the file:
 * once SQLite has it, nothing here opens it by other means.)
 */
export function openDatabase(path: string, steps: readonly Migration[]): OpenedDatabase {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: lockWaitMilliseconds, enableForeignKeyConstraints: true });
    lock(database);
    const meta = examine(database, path, steps);
    recordHolder(path);
    return { database, meta };
  } catch (error) {
    database?.close();
    const fault = storeErrorOf(error, path);
    if (fault.code !== "locked") throw fault;
    throw new StoreError("locked", `the key store ${path} is in use ${describeHolder(path)}: only one karp at a time`);
  }
}

/** Makes the tables of a new store with this meta, or runs the migrations that are due. */
export function prepareDatabase(opened: OpenedDatabase, meta: StoreMeta, steps: readonly Migration[]): void {
  const { database } = opened;
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("PRAGMA synchronous = FULL"); // each commit is on disk before it returns
  database.exec("PRAGMA secure_delete = ON");
  database.exec("PRAGMA journal_size_limit = 4194304");
  migrate(database, steps, () => {
    if (opened.meta !== undefined) return;
    database.exec(`PRAGMA application_id = ${applicationId}`);
    const insert = database.prepare("INSERT INTO meta (name, value) VALUES (?, ?)");
    for (const [name, value] of Object.entries(meta)) insert.run(name, value);
  });
}

/** Reads and writes of a prepared database. */
export class StoreTables {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #setFact: StatementSync;
  readonly #deleteFact: StatementSync;
  readonly #files: OpenFiles;

  constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    this.#path = path;
    this.#files = new OpenFiles(path);
    this.#files.assertInPlace();
    const places = columnNames.map(() => "?").join(", ");
    this.#put = database.prepare(`INSERT OR REPLACE INTO key_table (${columnNames.join(", ")}) VALUES (${places})`);
    this.#delete = database.prepare("DELETE FROM key_table WHERE admin_key_name = ?");
    this.#setFact = database.prepare("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)");
    this.#deleteFact = database.prepare("DELETE FROM facts WHERE name = ?");
  }

  read(): StoreContents {
    const rows = this.#database.prepare(`SELECT ${columnNames.join(", ")} FROM key_table ORDER BY rowid`).all();
    const facts = this.#database.prepare("SELECT name, value FROM facts").all();
    return {
      rows: rows.map(storedRow),
      facts: facts.map((fact) => [String(fact["name"]), String(fact["value"])] as const),
    };
  }

  /** All groups in one transaction; when that fails, each by itself, so that one bad group does not take others along. */
  write(groups: readonly WriteGroup[]): readonly (StoreFault | undefined)[] {
    const fault = this.#attempt(groups);
    if (fault === undefined || groups.length === 1) return groups.map(() => fault);
    return groups.map((group) => this.#attempt([group]));
  }

  #attempt(groups: readonly WriteGroup[]): StoreFault | undefined {
    try {
      this.#files.assertInPlace();
      transaction(this.#database, () => {
        for (const group of groups) for (const operation of group) this.#run(operation);
      });
      return undefined;
    } catch (error) {
      return faultOf(error, this.#path);
    }
  }

  #run(operation: WriteOperation): void {
    switch (operation.kind) {
      case "put":
        this.#put.run(...columnNames.map((name): SqlValue => operation.row[name] ?? null));
        return;
      case "delete":
        this.#delete.run(operation.adminKeyName);
        return;
      case "setFact":
        this.#setFact.run(operation.name, operation.value);
        return;
      case "deleteFact":
        this.#deleteFact.run(operation.name);
        return;
    }
  }
}

const columnNames = [...openColumnNames, "sealed_schema", "sealed_key"];

/** Takes the lock for good. The file is read once for that; SQLite keeps what it locked in this mode. */
function lock(database: DatabaseSync): void {
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  database.exec("BEGIN EXCLUSIVE; ROLLBACK");
}

function examine(database: DatabaseSync, path: string, steps: readonly Migration[]): StoreMeta | undefined {
  const version = pragma(database, "user_version");
  const latest = latestVersion(steps);
  const isOurs = pragma(database, "application_id") === applicationId;
  const tables = database.prepare("SELECT count(*) AS n FROM sqlite_schema").get();
  if (!isOurs && version === 0 && tables?.["n"] === 0) return undefined;
  if (!isOurs) throw new StoreError("damaged", `${path} is no key store of karp: name another file under store.path`);
  if (version > latest) {
    throw new StoreError(
      "newerSchema",
      `the key store ${path} has schema ${version}, this karp knows up to ${latest}: install the newer karp again`,
    );
  }
  const check = database.prepare("PRAGMA quick_check(1)").get();
  if (check?.["quick_check"] !== "ok") throw damaged(path, oneLine(String(check?.["quick_check"])));
  return readMeta(database, path);
}

function readMeta(database: DatabaseSync, path: string): StoreMeta {
  const entries = database.prepare("SELECT name, value FROM meta").all();
  const meta = new Map(entries.map((entry) => [entry["name"], entry["value"]]));
  const [uuid, checkValue, created] = [meta.get("uuid"), meta.get("checkValue"), meta.get("created")];
  if (typeof uuid !== "string" || typeof checkValue !== "string" || typeof created !== "string") {
    throw damaged(path, "its meta table is incomplete");
  }
  return { uuid, checkValue, created };
}

function damaged(path: string, detail: string): StoreError {
  const advice = "restore it from a copy, or move it away and start with an empty one";
  return new StoreError("damaged", `the key store ${path} is damaged (${detail}): ${advice}`);
}

function oneLine(text: string): string {
  return text.replace(/^\*\*\*.*\n/, "").replaceAll("\n", ", ");
}

function storedRow(row: Record<string, unknown>): StoredRow {
  // node:sqlite gives null, number, string and Uint8Array for the types of our STRICT table.
  return { ...row } as StoredRow;
}
