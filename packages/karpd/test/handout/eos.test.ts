// Source: "Arista EOS.md" of https://github.com/TCP-AO/Configuration-examples, EOS 4.28.2F and 4.29 with Junos, which names Arista's page
// https://www.arista.com/en/support/toi/eos-4-28-2f/16087-bgp-tcp-authentication-option-tcp-ao (not at hand itself); start and end of the
// lifetimes, the types of the secret and `local-time` as the templates of Arista AVD (management security, router bgp) write them.
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
