// NOT verified from a vendor's page: Arista announces TCP-AO for BGP (https://www.arista.com/jp/support/toi/tag/tcpao); the command lines are from memory of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatEos } from "../../src/handout/eos.ts";
import { FormatRefused, formOf } from "../../src/handout/form.ts";
import { assertGolden, handoutOf, oneKeyId } from "./handout.ts";

test("EOS: KeyIDs mirrored, dates in UTC, options as negotiated", () => {
  assertGolden("eos.txt", formatEos(formOf(oneKeyId(handoutOf()), "r1.example.net")));
});

test("eos: one KeyID for both directions, options covered", () => {
  assert.throws(() => formatEos(formOf(handoutOf(), "r1")), FormatRefused);
  assert.throws(() => formatEos(formOf(oneKeyId(handoutOf({ coversTcpOptions: false })), "r1")), FormatRefused);
});
