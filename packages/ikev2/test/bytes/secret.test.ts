import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { hex, unhex } from "../../src/bytes/hex.ts";
import { Secret } from "../../src/bytes/secret.ts";

test("a Secret is not printed by inspect, String, JSON or a template", () => {
  const secret = new Secret(unhex("c0ffee11"));
  const shown = [
    inspect(secret, { showHidden: true, depth: 9 }),
    String(secret),
    JSON.stringify({ secret }),
    `${secret}`,
  ];
  for (const text of shown) {
    assert.doesNotMatch(text, /c0ffee|192|255, 238/i);
  }
  assert.deepEqual(Object.keys(secret), []);
});

test("a Secret lends its octets and overwrites them", () => {
  const secret = new Secret(unhex("c0ffee11"));
  assert.equal(secret.expose(hex), "c0ffee11");
  secret.erase();
  assert.equal(secret.length, 4);
  assert.equal(secret.expose(hex), "00000000");
});
