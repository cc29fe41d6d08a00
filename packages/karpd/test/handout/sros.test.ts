// Source: "Nokia.md" of https://github.com/TCP-AO/Configuration-examples, by an engineer of Nokia: MD-CLI of SR OS 16.0.R15, 19.10.R7, 20.5.R1
// and newer; its keychain met the one of "JuniperNetworks.md" there, whose send-id 9 and recv-id 2 are its receive entry 9 and send entry 2.
// Nokia's page on keychains (https://infocenter.nokia.com/public/7210SAS229R1A/topic/com.nokia.DEK_System_Mgmt/keychain-d23e4371.html)
// has the entries 0 to 63, begin-time, and the rule of the youngest key.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FormatRefused, formOf } from "../../src/handout/form.ts";
import { formatSros } from "../../src/handout/sros.ts";
import { assertGolden, handoutOf } from "./handout.ts";

test("SR OS: KeyIDs mirrored, dates in UTC, options as negotiated", () => {
  assertGolden("sros.txt", formatSros(formOf(handoutOf(), "r1.example.net")));
});

test("SR OS: options covered, entries up to 63", () => {
  assert.throws(() => formatSros(formOf(handoutOf({ coversTcpOptions: false }), "r1")), FormatRefused);
  assert.throws(() => formatSros(formOf(handoutOf({ sendId: 64 }), "r1")), /0 to 63/);
});
