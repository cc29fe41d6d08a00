import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Writable } from "node:stream";
import { test } from "node:test";
import type { DemoRouter } from "../../src/cli/demo/layOut.ts";
import { runDemo } from "../../src/cli/demo/runDemo.ts";
import type { RunningRouter } from "../../src/cli/demo/runningRouter.ts";
import { JsonView } from "../../src/cli/demo/views.ts";
import { ControlClient } from "../../src/control/client.ts";
import { loadKeyEncryptionKey } from "../../src/storage/keyEncryptionKey.ts";
import { openKeyStore } from "../../src/storage/openKeyStore.ts";
import { karp, until } from "../daemon/site.ts";

/** Octets in the forms in which they could stand in a text. */
function forms(octets: Uint8Array): readonly string[] {
  const bytes = Buffer.from(octets);
  const hexadecimal = bytes.toString("hex");
  return [
    hexadecimal,
    hexadecimal.replace(/..(?=.)/g, "$&:"),
    bytes.toString("base64").replaceAll("=", ""),
    bytes.toString("base64url"),
    bytes.toString("latin1"),
    [...bytes].join(","),
  ];
}

/** The master keys of a running daemon, from a copy of its store. */
async function masterKeys({ configuration }: DemoRouter): Promise<readonly Uint8Array[]> {
  const home = dirname(configuration);
  const copy = join(home, "copy");
  mkdirSync(copy, { recursive: true, mode: 0o700 });
  for (const name of ["karp.db", "karp.db-wal", "karp.db.key"]) {
    if (existsSync(join(home, name))) copyFileSync(join(home, name), join(copy, name));
  }
  const path = join(copy, "karp.db");
  const keyEncryptionKey = await loadKeyEncryptionKey({ path: `${path}.key`, storePath: path, create: true });
  const octets = [keyEncryptionKey.expose((key) => Uint8Array.from(key))];
  const store = await openKeyStore({ path, keyEncryptionKey });
  const { rows } = await store.read();
  await store.close();
  return [...octets, ...rows.flatMap(({ key }) => key?.expose((secret) => Uint8Array.from(secret)) ?? [])];
}

/** Everything that a daemon answers to somebody who only looks. */
async function everyAnswer({ router }: RunningRouter): Promise<string> {
  const client = new ControlClient(router.socket);
  const paths = ["status", "peers", "sessions", "keys", "rollovers", "events", "statistics", "changes", "openapi.json"];
  return JSON.stringify(await Promise.all(paths.map((path) => client.get(`/v1/${path}`))));
}

test("no key in any output: events, views, logs at level debug, arguments, environment", async () => {
  let shown = "";
  const collect = (text: string): void => {
    shown += text;
  };
  const out = new Writable({
    write: (chunk, _encoding, done) => {
      collect(String(chunk));
      done();
    },
  });
  const controller = new AbortController();
  let running: readonly RunningRouter[] = [];
  const done = runDemo({
    seconds: 60,
    daemonArguments: ({ configuration }) => [karp, "run", "--config", configuration, "--log-level", "debug"],
    view: new JsonView(out),
    kernelTcpAo: false,
    signal: controller.signal,
    onStarted: (daemons) => {
      running = daemons;
    },
    onDaemonOutput: collect,
  });
  try {
    // Two of the stores' own, and at least two master keys, which both ends have: one in use, one on its way
    const keys = await until(
      async () => {
        if (!/rekey [0-9a-f]{16} negotiated/.test(shown)) return undefined;
        const found = (await Promise.all(running.map(({ router }) => masterKeys(router)))).flat();
        return found.length >= 6 && found;
      },
      () => shown,
    );
    for (const router of running) collect(await everyAnswer(router));
    for (const { pid } of running) {
      for (const file of ["cmdline", "environ"]) collect(readFileSync(`/proc/${pid}/${file}`, "latin1"));
    }
    assert.ok(
      new Set(keys.map((key) => Buffer.from(key).toString("hex"))).size < keys.length,
      "both ends hold the same",
    );
    assert.ok(shown.length > 10_000);
    for (const key of keys) for (const form of forms(key)) assert.ok(!shown.includes(form), "a key was shown");
  } finally {
    controller.abort();
    await done;
  }
});
