import { lstat } from "node:fs/promises";
import type { StoreSettings } from "../config/settings.ts";
import { unmanagedFact } from "../core/gatekeeper/unmanaged.ts";
import type { KeyTableRow } from "../core/keytable/row.ts";
import { loadKeyEncryptionKey } from "../storage/keyEncryptionKey.ts";
import { openKeyStore } from "../storage/openKeyStore.ts";

export type Mark = { readonly kind: "unmanage"; readonly at: string } | { readonly kind: "manage" };

/**
 * Notes in the sealed store whether karp manages a session, while no karp runs. Nothing is created: a store that is not
 * there is an error. Root acts as the store's owner, so that karp can open what it finds afterwards.
 * @returns the session's keys that are or may be in use
 * @throws StoreError, or the error of the system call
 */
export async function markInStore(place: StoreSettings, session: string, mark: Mark): Promise<readonly KeyTableRow[]> {
  return await asOwnerOf(place.path, async () => {
    const { path, keyEncryptionKeyPath } = place;
    const keyEncryptionKey = await loadKeyEncryptionKey({ path: keyEncryptionKeyPath, storePath: path, create: false });
    const store = await openKeyStore({ path, keyEncryptionKey });
    try {
      const { rows, facts } = await store.read();
      const name = unmanagedFact(session);
      if (mark.kind === "manage") await store.write([{ kind: "deleteFact", name }]);
      else if (!facts.has(name)) await store.write([{ kind: "setFact", name, value: mark.at }]);
      return rows.filter((row) => row.session === session && row.key !== undefined && row.state !== "removed");
    } finally {
      await store.close();
    }
  });
}

async function asOwnerOf<T>(path: string, work: () => Promise<T>): Promise<T> {
  // Of the link itself: its target may be anybody's file
  const { uid, gid } = await lstat(path);
  const isRoot = process.geteuid?.() === 0 && uid !== 0;
  if (!isRoot) return await work();
  process.setegid?.(gid);
  process.seteuid?.(uid);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}
