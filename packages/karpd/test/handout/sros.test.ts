// NOT verified from a vendor's page: Nokia's page on keychains (https://infocenter.nokia.com/public/7210SAS229R1A/topic/com.nokia.DEK_System_Mgmt/keychain-d23e4371.html)
// describes the option that came before TCP-AO; it confirms entries 0 to 63, begin-time, and the youngest key rule.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FormatRefused, formOf } from "../../src/handout/form.ts";
import { formatSros } from "../../src/handout/sros.ts";
import { assertGolden, handoutOf, oneKeyId } from "./handout.ts";

test("SR OS: KeyIDs mirrored, dates in UTC, options as negotiated", () => {
  assertGolden("sros.txt", formatSros(formOf(oneKeyId(handoutOf()), "r1.example.net")));
});

test("sros: one KeyID for both directions, options covered", () => {
  assert.throws(() => formatSros(formOf(handoutOf(), "r1")), FormatRefused);
  assert.throws(() => formatSros(formOf(oneKeyId(handoutOf({ coversTcpOptions: false })), "r1")), FormatRefused);
});
