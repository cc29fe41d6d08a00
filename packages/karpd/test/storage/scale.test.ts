import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { makeRow } from "./rows.ts";
import { newKey, openStore, temporaryDirectory } from "./stores.ts";

const rowCount = 10_000;

test(`a restart with ${rowCount} rows reads them in less than a second`, async (t) => {
  const path = join(temporaryDirectory(t), "keys.db");
  const key = newKey();
  const store = await openStore(path, key);
  const rows = Array.from({ length: rowCount }, (_, index) =>
    makeRow({ adminKeyName: `session-${index}/00112233445566aa` }),
  );
  await store.write(rows.map((row) => ({ kind: "put", row }) as const));
  await store.close();

  const begin = performance.now();
  const again = await openStore(path, key);
  const read = await again.read();
  const milliseconds = performance.now() - begin;
  await again.close();
  assert.equal(read.rows.length, rowCount);
  t.diagnostic(`opened, checked and read in ${milliseconds.toFixed(0)} ms`);
  // Generous towards slow machines under load; the figure above is what counts.
  assert.ok(milliseconds < 5000, `${milliseconds} ms`);
});
