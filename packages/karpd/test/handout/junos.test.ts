// Source: Juniper, "authentication-key-chains (TCP-AO)":
// https://www.juniper.net/documentation/us/en/software/junos/transport-ip/topics/ref/statement/authentication-tcp-ao-key-chains.html
// and "key (Authentication Keychain)" (start-time, key numbers 0 to 63):
// https://www.juniper.net/documentation/us/en/software/junos/user-access/topics/ref/statement/key-edit-security-authentication-key-chains.html
// The level ao-attribute and the zone behind the start time: "JuniperNetworks.md", by an engineer of Juniper, and "Arista EOS.md" of
// https://github.com/TCP-AO/Configuration-examples (Junos 20.4 and 21.2).
import assert from "node:assert/strict";
import { test } from "node:test";
import { FormatRefused, formOf } from "../../src/handout/form.ts";
import { formatJunos } from "../../src/handout/junos.ts";
import { assertGolden, handoutOf } from "./handout.ts";

test("Junos: KeyIDs mirrored, dates in UTC, options as negotiated", () => {
  assertGolden("junos.txt", formatJunos(formOf(handoutOf(), "r1.example.net")));
});

test("Junos: options left out; minutes only", () => {
  const text = formatJunos(formOf(handoutOf({ coversTcpOptions: false }), "r1.example.net"));
  assert.match(text, /tcp-ao-option disabled$/m);
  assert.throws(() => formatJunos(formOf(handoutOf({ sendFrom: 1_795_000_001_000 }), "r1")), FormatRefused);
});
