import { randomUUID } from "node:crypto";
import type { Secret } from "@karp/ikev2";
import type { KeyTableChange, KeyTableRow, KeyTableSnapshot } from "../core/keytable/row.ts";
import { type KeyStore, StoreError } from "../ports/keyStore.ts";
import { prepareStoreFiles } from "./files.ts";
import { GroupCommit } from "./groupCommit.ts";
import type { StoreContents, StoreMeta, WriteGroup, WriteOperation } from "./protocol.ts";
import { RowSeal } from "./seal.ts";
import { StoreWorker } from "./storeWorker.ts";

export interface KeyStoreOptions {
  /** The SQLite file. Its directory is made with mode 0700 when missing; the file has mode 0600. */
  readonly path: string;
  /** 32 octets, from loadKeyEncryptionKey. */
  readonly keyEncryptionKey: Secret;
}

/** Opens the key table, creating it on first use. Rejects with a StoreError; a store that it refuses is left as it was. */
export async function openKeyStore(options: KeyStoreOptions): Promise<KeyStore> {
  await prepareStoreFiles(options.path);
  const worker = new StoreWorker(options.path);
  try {
    const existing = await open(worker);
    const seal = new RowSeal(options.keyEncryptionKey, existing?.uuid ?? randomUUID());
    if (existing !== undefined && !seal.matches(existing.checkValue)) throw wrongKey(options.path);
    const meta = existing ?? { uuid: seal.uuid, checkValue: seal.checkValue, created: new Date().toISOString() };
    await worker.ask({ kind: "prepare", meta });
    return new SealedKeyStore(options.path, worker, seal);
  } catch (error) {
    await abandon(worker);
    throw error;
  }
}

class SealedKeyStore implements KeyStore {
  readonly #path: string;
  readonly #worker: StoreWorker;
  readonly #seal: RowSeal;
  readonly #commits: GroupCommit<WriteGroup>;
  #isClosed = false;

  constructor(path: string, worker: StoreWorker, seal: RowSeal) {
    this.#path = path;
    this.#worker = worker;
    this.#seal = seal;
    this.#commits = new GroupCommit((groups) => writeGroups(worker, groups));
  }

  async read(): Promise<KeyTableSnapshot> {
    this.#refuseClosed();
    await this.#commits.settled();
    const answer = await this.#worker.ask({ kind: "read" });
    if (answer.kind !== "contents") throw unexpected(answer.kind);
    return { rows: this.#openRows(answer.contents), facts: new Map(answer.contents.facts) };
  }

  async write(changes: readonly KeyTableChange[]): Promise<void> {
    this.#refuseClosed();
    if (changes.length === 0) return;
    await this.#commits.add(changes.map((change) => this.#operation(change)));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#commits.settled();
    try {
      await this.#worker.ask({ kind: "close" });
    } finally {
      await this.#worker.end();
      this.#seal.erase();
    }
  }

  #operation(change: KeyTableChange): WriteOperation {
    return change.kind === "put" ? { kind: "put", row: this.#seal.seal(change.row) } : change;
  }

  #openRows(contents: StoreContents): readonly KeyTableRow[] {
    const rows: KeyTableRow[] = [];
    const damaged: string[] = [];
    for (const stored of contents.rows) {
      const row = this.#seal.open(stored);
      if (row === undefined) damaged.push(String(stored["admin_key_name"]));
      else rows.push(row);
    }
    if (damaged.length > 0) throw damagedRows(this.#path, damaged, rows.length);
    return rows;
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw new StoreError("io", `the key store ${this.#path} is closed`);
  }
}

async function open(worker: StoreWorker): Promise<StoreMeta | undefined> {
  const answer = await worker.ask({ kind: "open" });
  if (answer.kind !== "opened") throw unexpected(answer.kind);
  return answer.meta;
}

async function writeGroups(
  worker: StoreWorker,
  groups: readonly WriteGroup[],
): Promise<readonly (StoreError | undefined)[]> {
  const answer = await worker.ask({ kind: "write", groups });
  if (answer.kind !== "written") throw unexpected(answer.kind);
  return answer.faults.map((fault) => fault && new StoreError(fault.code, fault.message));
}

/** Closes the database properly (the lock, the note of who holds it) before the thread goes; the first error counts. */
async function abandon(worker: StoreWorker): Promise<void> {
  await worker.ask({ kind: "close" }).catch(() => undefined);
  await worker.end();
}

function wrongKey(path: string): StoreError {
  return new StoreError(
    "wrongKey",
    `the key store ${path} was sealed with another key-encryption key: ` +
      `put the right key file back, or move the store away and start with an empty one`,
  );
}

function damagedRows(path: string, names: readonly string[], whole: number): StoreError {
  const shown = names.slice(0, 5).map((name) => name.replaceAll(/[^\x20-\x7e]/g, "?"));
  const some = shown.join(", ") + (names.length > shown.length ? `, … (${names.length} in all)` : "");
  return new StoreError(
    "damaged",
    `the key store ${path} has damaged rows: ${some}: restore it from a copy, move it away and start with an empty one, ` +
      `or delete these rows from its table key_table: the other ${whole} are whole`,
  );
}

function unexpected(kind: string): StoreError {
  return new StoreError("io", `the key store's worker gave an answer that was not asked for: ${kind}`);
}
