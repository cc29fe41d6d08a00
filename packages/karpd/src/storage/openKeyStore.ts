import type { Secret } from "@karp/ikev2";
import type { KeyStore } from "../ports/keyStore.ts";

export interface KeyStoreOptions {
  /** The SQLite file. Its directory is made with mode 0700 when missing; the file has mode 0600. */
  readonly path: string;
  /** 32 octets, from loadKeyEncryptionKey. */
  readonly keyEncryptionKey: Secret;
}

/** Opens the key table, creating it on first use. Rejects with a StoreError; a store that it refuses is left as it was. */
export async function openKeyStore(options: KeyStoreOptions): Promise<KeyStore> {
  throw new Error(`opening ${options.path} comes with the next commit`);
}
