import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { Secret } from "@karp/ikev2";
import { StoreError } from "../ports/keyStore.ts";
import { storeErrorOf } from "./faults.ts";
import { createWholeFile, fileExists, hasCode, prepareDirectory, refuseOpenFile, removeUnfinished } from "./files.ts";

const keyLength = 32;

export interface KeyEncryptionKeyOptions {
  readonly path: string;
  /** When there is a store already, a missing key file is an error and no new one is made. */
  readonly storePath: string;
  /** False for a systemd credential: never created, and its permissions are systemd's. */
  readonly create: boolean;
}

/** Reads the 32-octet key that seals the store, or makes it on first start (mode 0600). Rejects with a StoreError. */
export async function loadKeyEncryptionKey(options: KeyEncryptionKeyOptions): Promise<Secret> {
  try {
    if (options.create) await prepareKey(options);
    return await readKey(options.path);
  } catch (error) {
    throw readableError(error, options.path);
  }
}

async function prepareKey(options: KeyEncryptionKeyOptions): Promise<void> {
  if (await fileExists(options.path)) await removeUnfinished(options.path);
  else await createKey(options);
  await refuseOpenFile(options.path);
}

async function createKey(options: KeyEncryptionKeyOptions): Promise<void> {
  if (await fileExists(options.storePath)) {
    throw new StoreError(
      "wrongKey",
      `the key-encryption key ${options.path} is missing, but there is a key store ${options.storePath}: ` +
        `put the key back, or move the store away and start with an empty one`,
    );
  }
  await prepareDirectory(dirname(options.path));
  const key = randomBytes(keyLength);
  try {
    await createWholeFile(options.path, key);
  } finally {
    key.fill(0);
  }
}

async function readKey(path: string): Promise<Secret> {
  const octets = new Uint8Array(await readFile(path));
  if (octets.length !== keyLength) {
    const length = octets.length;
    octets.fill(0);
    throw new StoreError(
      "wrongKey",
      `the key-encryption key ${path} has ${length} octets instead of ${keyLength}: put the right file back`,
    );
  }
  return new Secret(octets);
}

function readableError(error: unknown, path: string): StoreError {
  if (hasCode(error, "ENOENT")) {
    return new StoreError("wrongKey", `the key-encryption key ${path} is missing: put it there (32 random octets)`);
  }
  return storeErrorOf(error, path);
}
