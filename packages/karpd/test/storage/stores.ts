import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Secret } from "@karp/ikev2";
import type { KeyStore } from "../../src/ports/keyStore.ts";
import { openKeyStore } from "../../src/storage/openKeyStore.ts";

/** A directory of mode 0700 that goes away after the test. */
export function temporaryDirectory(t: Pick<TestContext, "after">): string {
  const path = mkdtempSync(join(tmpdir(), "karp-store-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export function newKey(): Secret {
  return new Secret(new Uint8Array(randomBytes(32)));
}

export function openStore(path: string, keyEncryptionKey: Secret): Promise<KeyStore> {
  return openKeyStore({ path, keyEncryptionKey });
}
