import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { unmanagedFact } from "../../src/core/gatekeeper/unmanaged.ts";
import { handovers } from "../../src/drivers/handovers.ts";
import type { Handover } from "../../src/ports/handover.ts";
import { loadKeyEncryptionKey } from "../../src/storage/keyEncryptionKey.ts";
import { openKeyStore } from "../../src/storage/openKeyStore.ts";
import { manage, type Site, unmanage } from "../../src/unmanage/unmanage.ts";
import { context, sessionOf } from "../drivers/support.ts";

const NOW = Date.parse("2026-01-02T03:04:05.678Z");

interface Made {
  readonly site: Site;
  readonly released: string[];
  facts(): Promise<ReadonlyMap<string, string>>;
}

/** A store as a karp that died left it, and nobody at the control socket. */
async function make(t: TestContext, handover?: Partial<Handover>): Promise<Made> {
  const folder = mkdtempSync(join(tmpdir(), "karp-unmanage-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "store/keys.db");
  const store = { path, keyEncryptionKeyPath: `${path}.key`, keyEncryptionKeyIsCredential: false };
  const open = async () => {
    const create = { path: store.keyEncryptionKeyPath, storePath: path, create: true };
    return await openKeyStore({ path, keyEncryptionKey: await loadKeyEncryptionKey(create) });
  };
  await (await open()).close();
  const released: string[] = [];
  const bird = {
    release: async (_: unknown, at: string) => {
      released.push(at);
      return { kind: "released", carryOn: ["the keys stay in r2.conf"] };
    },
    ...handover,
  } as Handover;
  const site = { session: sessionOf("bird", {}), store, socketPath: join(folder, "control.sock"), handover: bird };
  const facts = async (): Promise<ReadonlyMap<string, string>> => {
    const opened = await open();
    const { facts: found } = await opened.read();
    await opened.close();
    return found;
  };
  return { site, released, facts };
}

test("a daemon that is keyed from outside: whose sockets have the keys, and how to run without", async (t) => {
  const { site } = await make(t);
  const session = { ...sessionOf("linux", {}), driver: "linux" };
  const { lines } = await unmanage({ ...site, session, handover: handovers["linux"]?.(context()) }, NOW);
  const text = lines.join("\n");
  assert.match(text, /\nthe keys are static from now on: .*karp keyer/);
  assert.match(text, /\nto run the session without keys, at both ends: take r2 out of karp\.yaml/);
});

test("without a daemon: noted in the sealed store, the keys released, and how to go on", async (t) => {
  const { site, released, facts } = await make(t);
  const { ok, lines } = await unmanage(site, NOW);
  assert.ok(ok);
  assert.match(
    lines.join("\n"),
    /^karp does not run .*noted in its store.*\nthe keys stay in r2\.conf\n.*karp manage r2$/s,
  );
  assert.deepEqual(released, ["2026-01-02T03:04:05.678Z"]);
  assert.equal((await facts()).get(unmanagedFact("r2")), "2026-01-02T03:04:05.678Z");
  // Again: since when it is so does not change
  await unmanage(site, NOW + 60_000);
  assert.equal((await facts()).get(unmanagedFact("r2")), "2026-01-02T03:04:05.678Z");
  assert.ok((await manage(site)).ok);
  assert.equal((await facts()).get(unmanagedFact("r2")), undefined);
});

test("the store cannot be opened: the keys are released all the same, and what is missing is said", async (t) => {
  const { site, released } = await make(t);
  await writeFile(site.store.keyEncryptionKeyPath, new Uint8Array(32), { mode: 0o600 });
  const { ok, lines } = await unmanage(site, NOW);
  assert.equal(ok, false);
  assert.equal(released.length, 1);
  assert.match(
    lines[0] ?? "",
    /sealed with another key-encryption key.*take r2 out of karp\.yaml before you start karp/,
  );
});

test("there is no store: none is made", async (t) => {
  const { site } = await make(t);
  await rm(site.store.path);
  assert.equal((await unmanage(site, NOW)).ok, false);
  await assert.rejects(stat(site.store.path), { code: "ENOENT" });
});

test("a driver without a file of its own; one whose file cannot be written", async (t) => {
  const { site } = await make(t);
  const none = await unmanage({ ...site, handover: undefined }, NOW);
  assert.ok(none.ok && none.lines.some((line) => line.includes("stay where driver bird has put them")));
  const failing = await make(t, { release: async () => ({ kind: "failed", reason: "disk full" }) });
  const told = await unmanage(failing.site, NOW);
  assert.ok(!told.ok && told.lines.some((line) => line.includes("disk full")));
});
