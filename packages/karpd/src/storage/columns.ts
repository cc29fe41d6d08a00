import type { Secret, UnixMilliseconds } from "@karp/ikev2";
import type { CreatedBy, KeyTableRow, MktAlgorithm, MktState } from "../core/keytable/row.ts";

export type SqlValue = string | number | null | Uint8Array;
/** One row of the table `key_table`: SQL column name to value. */
export type StoredRow = Readonly<Record<string, SqlValue>>;

interface Column<T> {
  readonly name: string;
  encode(value: T): SqlValue;
  /** Throws TypeError for a value that this column never holds. */
  decode(value: SqlValue): T;
}

type OpenField = Exclude<keyof KeyTableRow, "key">;

/** Every field of a row but the key, which is sealed apart. A field added to KeyTableRow does not compile without its column. */
const columns: { readonly [F in OpenField]: Column<KeyTableRow[F]> } = {
  adminKeyName: text("admin_key_name"),
  // RFC 7210 section 4: for TCP-AO the names are the KeyIDs, as two lowercase hex digits
  recvId: keyId("local_key_name"),
  sendId: keyId("peer_key_name"),
  peers: json("peers"),
  interfaces: text("interfaces"),
  protocol: text("protocol"),
  protocolSpecificInfo: json("protocol_specific_info"),
  algorithm: word<MktAlgorithm>("alg_id", ["aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha-256-128"]),
  direction: word<KeyTableRow["direction"]>("direction", ["in", "out", "both", "disabled"]),
  sendLifetimeStart: optionalInstant("send_lifetime_start"),
  sendLifetimeEnd: optionalInstant("send_lifetime_end"),
  acceptLifetimeStart: instant("accept_lifetime_start"),
  acceptLifetimeEnd: optionalInstant("accept_lifetime_end"),
  session: text("session"),
  state: word<MktState>("state", ["held", "installed", "preferred", "current", "retiring", "removed", "failed"]),
  createdBy: word<CreatedBy>("created_by", ["ike", "manual", "adopted", "placeholder", "solo", "group"]),
  localIdentity: text("local_identity"),
  peerIdentity: text("peer_identity"),
  credentialFingerprint: text("credential_fingerprint"),
  generation: integer("generation"),
  replaces: optionalText("replaces"),
  history: json("history"),
  peerState: integer("peer_state"),
  peerReason: text("peer_reason"),
  toldState: integer("told_state"),
  deleteAnsweredAt: optionalInstant("delete_answered_at"),
  peerDeletedAt: optionalInstant("peer_deleted_at"),
  quarantineUntil: optionalInstant("quarantine_until"),
  softExpiresAt: optionalInstant("soft_expires_at"),
  hardExpiresAt: optionalInstant("hard_expires_at"),
};

const fields = Object.keys(columns) as readonly OpenField[];

/** Columns that the seal of a row covers, by the schema version that sealed it, in the order of the associated data. */
export const sealedColumns: ReadonlyMap<number, readonly string[]> = new Map([
  [1, fields.map((field) => columns[field].name)],
]);

export const openColumnNames: readonly string[] = fields.map((field) => columns[field].name);

/** All columns but the sealed key. */
export function encodeRow(row: KeyTableRow): StoredRow {
  const stored: Record<string, SqlValue> = {};
  for (const field of fields) encodeField(row, field, stored);
  return stored;
}

/** The row with its key put back; throws TypeError when a column holds what it never does. */
export function decodeRow(stored: StoredRow, key: Secret | undefined): KeyTableRow {
  const row: Record<string, unknown> = key === undefined ? {} : { key };
  for (const field of fields) {
    const column = columns[field];
    const value = column.decode(stored[column.name] ?? null);
    if (value !== undefined) row[field] = value;
  }
  // Each column's type is tied to its field above; the compiler cannot follow that through a loop.
  return row as unknown as KeyTableRow;
}

function encodeField<F extends OpenField>(row: KeyTableRow, field: F, into: Record<string, SqlValue>): void {
  const column: Column<KeyTableRow[F]> = columns[field];
  into[column.name] = column.encode(row[field]);
}

function text(name: string): Column<string> {
  return { name, encode: (value) => value, decode: (value) => expectText(name, value) };
}

function optionalText(name: string): Column<string | undefined> {
  return {
    name,
    encode: (value) => value ?? null,
    decode: (value) => (value === null ? undefined : expectText(name, value)),
  };
}

function integer(name: string): Column<number> {
  return { name, encode: (value) => value, decode: (value) => expectInteger(name, value) };
}

function instant(name: string): Column<UnixMilliseconds> {
  return { name, encode: Math.round, decode: (value) => expectInteger(name, value) as UnixMilliseconds };
}

function optionalInstant(name: string): Column<UnixMilliseconds | undefined> {
  return {
    name,
    encode: (value) => (value === undefined ? null : Math.round(value)),
    decode: (value) => (value === null ? undefined : (expectInteger(name, value) as UnixMilliseconds)),
  };
}

function keyId(name: string): Column<number> {
  return {
    name,
    encode: (value) => value.toString(16).padStart(2, "0"),
    decode: (value) => {
      const digits = expectText(name, value);
      if (!/^[0-9a-f]{2}$/.test(digits)) throw new TypeError(`${name} is not a KeyID`);
      return Number.parseInt(digits, 16);
    },
  };
}

function word<W extends string>(name: string, words: readonly W[]): Column<W> {
  return {
    name,
    encode: (value) => value,
    decode: (value) => {
      const found = words.find((candidate) => candidate === value);
      if (found === undefined) throw new TypeError(`${name} holds an unknown word`);
      return found;
    },
  };
}

function json<T>(name: string): Column<T> {
  return {
    name,
    encode: (value) => JSON.stringify(value),
    decode: (value) => JSON.parse(expectText(name, value)) as T,
  };
}

function expectText(name: string, value: SqlValue): string {
  if (typeof value !== "string") throw new TypeError(`${name} is not text`);
  return value;
}

function expectInteger(name: string, value: SqlValue): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw new TypeError(`${name} is not an integer`);
  return value;
}
