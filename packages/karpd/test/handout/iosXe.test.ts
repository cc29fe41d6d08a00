// Source: Cisco, "IP Routing: Protocol-Independent Configuration Guide, Cisco IOS XE Gibraltar 16.12.x", chapter TCP Authentication Option:
// https://cisco.com/c/en/us/td/docs/ios-xml/ios/iproute_pi/configuration/xe-16-12/iri-xe-16-12-book/tcp-ao.html
// and "BGP Support for TCP AO": https://www.cisco.com/c/en/us/td/docs/ios-xml/ios/iproute_bgp/configuration/xe-16-12/irg-xe-16-12-book/bgp-support-for-TCP-AO.html
// and "IP Routing Protocol-Independent Commands" (key chain … tcp, send-id, recv-id): https://cisco.com/en/US/docs/ios-xml/ios/iproute_pi/command/iri-cr-a1.html
// Compared with Cisco's data model (words of the algorithms): https://netascode.cisco.com/docs/data_models/iosxe/device/key_chains/
import assert from "node:assert/strict";
import { test } from "node:test";
import { FormatRefused, formOf } from "../../src/handout/form.ts";
import { formatIosXe } from "../../src/handout/iosXe.ts";
import { assertGolden, handoutOf } from "./handout.ts";

test("IOS XE: KeyIDs mirrored, dates in UTC, options as negotiated", () => {
  assertGolden("ios-xe.txt", formatIosXe(formOf(handoutOf(), "r1.example.net")));
});

test("IOS XE: options left out, and what it cannot do", () => {
  const text = formatIosXe(formOf(handoutOf({ coversTcpOptions: false }), "r1.example.net"));
  assert.ok(!text.includes("include-tcp-options") && !text.includes(" local"));
  assert.throws(() => formatIosXe(formOf(handoutOf({ algorithm: "hmac-sha-256-128" }), "r1")), FormatRefused);
});
