import { StoreError, type StoreErrorCode } from "../ports/keyStore.ts";
import type { StoreFault } from "./protocol.ts";

/** Turns whatever SQLite or the file system threw into a StoreError that says what to do. */
export function storeErrorOf(error: unknown, path: string): StoreError {
  if (error instanceof StoreError) return error;
  const code = sqliteCode(error) ?? systemCode(error) ?? "io";
  return new StoreError(code, `${sentence(code, path)} (${reason(error)})`, { cause: error });
}

export function faultOf(error: unknown, path: string): StoreFault {
  const { code, message } = storeErrorOf(error, path);
  return { code, message };
}

// Primary result codes: https://www.sqlite.org/rescode.html
const sqliteCodes: ReadonlyMap<number, StoreErrorCode> = new Map([
  [3, "permission"], // SQLITE_PERM
  [5, "locked"], // SQLITE_BUSY
  [6, "locked"], // SQLITE_LOCKED
  [8, "readOnly"], // SQLITE_READONLY
  [11, "damaged"], // SQLITE_CORRUPT
  [13, "full"], // SQLITE_FULL
  [23, "permission"], // SQLITE_AUTH
  [26, "damaged"], // SQLITE_NOTADB
]);

const systemCodes: ReadonlyMap<string, StoreErrorCode> = new Map([
  ["EACCES", "permission"],
  ["EPERM", "permission"],
  ["EROFS", "readOnly"],
  ["ENOSPC", "full"],
  ["EDQUOT", "full"],
]);

function sqliteCode(error: unknown): StoreErrorCode | undefined {
  const number = property(error, "errcode");
  return typeof number === "number" ? (sqliteCodes.get(number & 0xff) ?? "io") : undefined;
}

function systemCode(error: unknown): StoreErrorCode | undefined {
  const code = property(error, "code");
  return typeof code === "string" ? systemCodes.get(code) : undefined;
}

function sentence(code: StoreErrorCode, path: string): string {
  switch (code) {
    case "damaged":
      return `the key store ${path} is damaged: restore it from a copy, or move it away and start with an empty one`;
    case "full":
      return `no space left for the key store ${path}: free some; nothing was changed`;
    case "readOnly":
      return `the key store ${path} cannot be written: is its file system mounted read-only?`;
    case "locked":
      return `the key store ${path} is in use by another process`;
    case "permission":
      return `no permission to use the key store ${path}: it must belong to the user that runs karp`;
    case "newerSchema":
      return `the key store ${path} was written by a newer karp`;
    case "wrongKey":
      return `the key store ${path} was sealed with another key-encryption key`;
    case "io":
      return `the key store ${path} cannot be used`;
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
