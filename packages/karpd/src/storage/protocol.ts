import type { StoreErrorCode } from "../ports/keyStore.ts";
import type { StoredRow } from "./columns.ts";

/** Messages between the key store and its worker. Keys cross only sealed. */
export type WorkerRequest =
  | { readonly id: number; readonly kind: "open" }
  /** After the key-encryption key proved right: makes a new store's tables and meta, or runs migrations that are due. */
  | { readonly id: number; readonly kind: "prepare"; readonly meta: StoreMeta }
  | { readonly id: number; readonly kind: "read" }
  | { readonly id: number; readonly kind: "write"; readonly groups: readonly WriteGroup[] }
  | { readonly id: number; readonly kind: "close" };

/** What must be stored together or not at all. */
export type WriteGroup = readonly WriteOperation[];

export type WriteOperation =
  | { readonly kind: "put"; readonly row: StoredRow }
  | { readonly kind: "delete"; readonly adminKeyName: string }
  | { readonly kind: "setFact"; readonly name: string; readonly value: string }
  | { readonly kind: "deleteFact"; readonly name: string };

export interface StoreMeta {
  readonly uuid: string;
  readonly checkValue: string;
  /** RFC 3339, UTC. */
  readonly created: string;
}

export interface StoreContents {
  readonly rows: readonly StoredRow[];
  readonly facts: readonly (readonly [name: string, value: string])[];
}

export interface StoreFault {
  readonly code: StoreErrorCode;
  readonly message: string;
}

export type WorkerAnswer =
  /** Undefined: a new, empty store. */
  | { readonly kind: "opened"; readonly meta: StoreMeta | undefined }
  | { readonly kind: "contents"; readonly contents: StoreContents }
  /** One entry a group, in order. */
  | { readonly kind: "written"; readonly faults: readonly (StoreFault | undefined)[] }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly fault: StoreFault };

export interface WorkerReply {
  readonly id: number;
  readonly answer: WorkerAnswer;
}
