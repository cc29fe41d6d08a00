import { statSync } from "node:fs";
import { StoreError } from "../ports/keyStore.ts";

/**
 * Whether the files under the store's names are still those that are open. Somebody who moves another one there (an
 * older copy, say), or removes one, would have every later write go to a file that nobody finds after a restart.
 * stat(2) alone: opening and closing a file would drop SQLite's lock on it.
 */
export class OpenFiles {
  readonly #path: string;
  readonly #identities = new Map<string, string>();

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws StoreError `io` */
  assertInPlace(): void {
    for (const file of [this.#path, `${this.#path}-wal`]) {
      const identity = identityOf(file);
      const known = this.#identities.get(file) ?? identity;
      if (known !== identity) throw replaced(file);
      if (identity !== undefined) this.#identities.set(file, identity);
    }
  }
}

function identityOf(file: string): string | undefined {
  const status = statSync(file, { bigint: true, throwIfNoEntry: false });
  return status && `${status.dev} ${status.ino}`;
}

function replaced(file: string): StoreError {
  const advice = "nothing is written any more: put the file back if you have it, and restart karp (keys stay in place)";
  return new StoreError("io", `${file} was moved, removed or replaced while karp runs; ${advice}`);
}
