import type { KeyTableChange, KeyTableSnapshot } from "../core/keytable/row.ts";

/** The sealed key table on disk. One process at a time. */
export interface KeyStore {
  read(): Promise<KeyTableSnapshot>;
  /** One transaction, synced to disk before it resolves; rejects with a StoreError and nothing is changed. */
  write(changes: readonly KeyTableChange[]): Promise<void>;
  close(): Promise<void>;
}

/** Codes of the faults that people must be told apart. */
export type StoreErrorCode =
  | "wrongKey"
  | "damaged"
  | "full"
  | "readOnly"
  | "newerSchema"
  | "locked"
  | "permission"
  | "io";

export class StoreError extends Error {
  readonly code: StoreErrorCode;
  constructor(code: StoreErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "StoreError";
    this.code = code;
  }
}
