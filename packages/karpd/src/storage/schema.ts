import type { DatabaseSync } from "node:sqlite";

/** "karp" in ASCII: tells our file from any other SQLite file (PRAGMA application_id). */
export const applicationId = 0x6b617270;

/** One step from the schema before it; runs inside the transaction that also raises `user_version`. */
export interface Migration {
  readonly version: number;
  readonly statements: readonly string[];
}

/**
 * Rows carry the schema version under which they were sealed (`sealed_schema`): a migration that adds columns need not
 * open a seal, and rows move to the new version when they are next written.
 */
export const migrations: readonly Migration[] = [
  {
    version: 1,
    statements: [
      `CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT`,
      `CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT`,
      // The first block is RFC 7210 section 2 (KDF and AlgID stand together in alg_id); instants are Unix milliseconds.
      `CREATE TABLE key_table (
        admin_key_name TEXT PRIMARY KEY,
        local_key_name TEXT NOT NULL,
        peer_key_name TEXT NOT NULL,
        peers TEXT NOT NULL,
        interfaces TEXT NOT NULL,
        protocol TEXT NOT NULL,
        protocol_specific_info TEXT NOT NULL,
        alg_id TEXT NOT NULL,
        direction TEXT NOT NULL,
        send_lifetime_start INTEGER,
        send_lifetime_end INTEGER,
        accept_lifetime_start INTEGER NOT NULL,
        accept_lifetime_end INTEGER,

        session TEXT NOT NULL,
        state TEXT NOT NULL,
        created_by TEXT NOT NULL,
        local_identity TEXT NOT NULL,
        peer_identity TEXT NOT NULL,
        credential_fingerprint TEXT NOT NULL,
        generation INTEGER NOT NULL,
        replaces TEXT,
        history TEXT NOT NULL,
        peer_state INTEGER NOT NULL,
        peer_reason TEXT NOT NULL,
        told_state INTEGER NOT NULL,
        delete_answered_at INTEGER,
        peer_deleted_at INTEGER,
        quarantine_until INTEGER,
        soft_expires_at INTEGER,
        hard_expires_at INTEGER,

        sealed_schema INTEGER NOT NULL,
        sealed_key BLOB NOT NULL
      ) STRICT`,
    ],
  },
];

export function latestVersion(steps: readonly Migration[]): number {
  return Math.max(0, ...steps.map((step) => step.version));
}

/**
 * Runs the steps above `PRAGMA user_version`, and `also`, in one transaction. The caller has made sure that the schema
 * is not newer than the last step.
 */
export function migrate(database: DatabaseSync, steps: readonly Migration[], also: () => void = () => {}): void {
  const current = pragma(database, "user_version");
  const due = steps.filter((step) => step.version > current).sort((a, b) => a.version - b.version);
  if (due.length === 0) return;
  transaction(database, () => {
    for (const step of due) {
      for (const statement of step.statements) database.exec(statement);
      database.exec(`PRAGMA user_version = ${step.version}`);
    }
    also();
  });
}

/** Runs `work` in a transaction that is synced when this returns, and undone when it throws. */
export function transaction(database: DatabaseSync, work: () => void): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    work();
    database.exec("COMMIT");
  } catch (error) {
    // SQLite has rolled back by itself after some errors (a full disk is one).
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** The value of a pragma that is one integer. */
export function pragma(database: DatabaseSync, name: "user_version" | "application_id"): number {
  const row = database.prepare(`PRAGMA ${name}`).get();
  return Number(row?.[name] ?? 0);
}
