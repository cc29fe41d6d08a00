// Source: RFC 8177 section 4, module ietf-key-chain@2017-06-15; RFC 7951 for JSON. https://www.rfc-editor.org/rfc/rfc8177
import assert from "node:assert/strict";
import { test } from "node:test";
import { FormatRefused, formOf } from "../../src/handout/form.ts";
import { formatRfc8177 } from "../../src/handout/rfc8177.ts";
import { assertGolden, handoutOf } from "./handout.ts";

test("RFC 8177: KeyIDs mirrored, dates in UTC, options as negotiated", () => {
  assertGolden("rfc8177.json", formatRfc8177(formOf(handoutOf(), "r1.example.net")));
});

test("RFC 8177: reads back as JSON, and what it cannot say", () => {
  const text = formatRfc8177(formOf(handoutOf(), "r1.example.net"));
  const { "ietf-key-chain:key-chains": chains } = JSON.parse(text) as Record<
    string,
    { "key-chain": { key: unknown[] }[] }
  >;
  assert.equal(chains?.["key-chain"][0]?.key.length, 2);
  assert.throws(() => formatRfc8177(formOf(handoutOf({ algorithm: "hmac-sha-256-128" }), "r1")), FormatRefused);
});
