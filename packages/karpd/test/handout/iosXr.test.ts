// Source: Cisco, "Routing Configuration Guide for Cisco NCS 6000 Series Routers, IOS XR Release 7.6.x", chapter Implementing BGP, BGP Session
// Authentication and Integrity using TCP Authentication Option:
// https://www.cisco.com/c/en/us/td/docs/routers/ncs6000/software/ncs6k-7-6/routing/configuration/guide/b-routing-cg-ncs6000-76x/implementing-bgp.html
// (lifetimes have to be identical; sendID and receiveID below `tcp ao`). `timezone gmt` of a key chain: Cisco, "Network as Code", IOS XR key chain data model,
// https://netascode.cisco.com/docs/data_models/iosxr/device/key_chain
// The words of the algorithms are those of "CiscoIOS-XR.md" of https://github.com/TCP-AO/Configuration-examples (IOS XR 7.0.2 with Junos).
import assert from "node:assert/strict";
import { test } from "node:test";
import { FormatRefused, formOf } from "../../src/handout/form.ts";
import { formatIosXr } from "../../src/handout/iosXr.ts";
import { assertGolden, handoutOf } from "./handout.ts";

test("IOS XR: KeyIDs mirrored, dates in UTC, options as negotiated", () => {
  assertGolden("ios-xr.txt", formatIosXr(formOf(handoutOf(), "r1.example.net")));
});

test("IOS XR: options left out, and what it cannot do", () => {
  const text = formatIosXr(
    formOf(handoutOf({ coversTcpOptions: false, algorithm: "hmac-sha-1-96" }), "r1.example.net"),
  );
  assert.match(text, / ao karp-r7 include-tcp-options disable$/m);
  assert.match(text, /cryptographic-algorithm HMAC-SHA1-96$/m);
  assert.ok(!/^ .*accept-ao-mismatch/m.test(text), "never a connection without AO");
  assert.throws(() => formatIosXr(formOf(handoutOf({ algorithm: "hmac-sha-256-128" }), "r1")), FormatRefused);
});
