import type { Secret } from "@karp/ikev2";

export interface KeyEncryptionKeyOptions {
  readonly path: string;
  /** When there is a store already, a missing key file is an error and no new one is made. */
  readonly storePath: string;
  /** False for a systemd credential: never created. */
  readonly create: boolean;
}

/** Reads the 32-octet key that seals the store, or makes it on first start (mode 0600). Rejects with a StoreError. */
export async function loadKeyEncryptionKey(options: KeyEncryptionKeyOptions): Promise<Secret> {
  throw new Error(`reading ${options.path} comes with the next commit`);
}
