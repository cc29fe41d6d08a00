import assert from "node:assert/strict";
import { test } from "node:test";
import { unhex } from "../../src/bytes/hex.ts";
import { decodeMessage } from "../../src/codec/codec.ts";
import { describeMessage, describePayloads, describeProposal } from "../../src/codec/describe.ts";
import type { Payload } from "../../src/codec/message.ts";
import { rawMessage } from "./rawMessage.ts";

const secretText = "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffee";
const inner: readonly Payload[] = [
  { kind: "N", protocolId: 201, spi: unhex("3d"), notifyType: 16393, data: unhex(secretText) },
  {
    kind: "SA",
    proposals: [
      {
        number: 1,
        protocolId: 201,
        spi: unhex("3e"),
        transforms: [
          { type: 3, id: 8, attributes: [] },
          { type: 241, id: 1, attributes: [] },
          { type: 1, id: 20, attributes: [{ kind: "TV", type: 14, value: 256 }] },
          { type: 99, id: 7, attributes: [] },
        ],
      },
    ],
  },
  { kind: "Nonce", data: unhex(secretText) },
  { kind: "KE", method: 31, data: unhex(secretText) },
  { kind: "AUTH", method: 14, data: unhex(secretText) },
  { kind: "IDi", idType: 2, data: unhex(secretText) },
  { kind: "CERT", encoding: 15, data: unhex(secretText) },
  { kind: "D", protocolId: 201, spiSize: 1, spis: [unhex("3d"), unhex("3f")] },
  { kind: "TSi", selectors: [{ kind: "unknown", tsType: 9, data: unhex(secretText) }] },
  { kind: "V", data: unhex(secretText) },
  { kind: "N", protocolId: 0, spi: unhex(""), notifyType: 48699, data: unhex(secretText) },
  { kind: "Unknown", payloadType: 200, critical: true, data: unhex(secretText) },
];

test("a message in one line, without anything secret in it", () => {
  const closed = decodeMessage(rawMessage([46, "0011223344"]));
  assert.equal(describeMessage(closed), "INFORMATIONAL request 7 SK(5 octets)");
  assert.equal(describeMessage(closed, []), "INFORMATIONAL request 7 SK {}");
  const line = describeMessage(closed, inner);
  assert.equal(
    line,
    "INFORMATIONAL request 7 SK { N(REKEY_SA TCP_AO 3d), SA(1: TCP_AO 3e, INTEG AUTH_AES_CMAC_96, TCP_OPT PROTECTED, " +
      "ENCR ENCR_AES_GCM_16-256, UNKNOWN(99) UNKNOWN(7)), Nonce, KE(CURVE25519), AUTH(DIGITAL_SIGNATURE), IDi(ID_FQDN), " +
      "CERT(RAW_PUBLIC_KEY), D(TCP_AO 3d 3f), TSi(1), V, N(UNKNOWN(48699)), UNKNOWN(200)! }",
  );
  assert.doesNotMatch(line, /c0ffee/);
});

test("payloads in the clear, and both", () => {
  const clear = decodeMessage(rawMessage([41, "00 00 400e"], [43, "01"]));
  assert.equal(describeMessage(clear), "INFORMATIONAL request 7 { N(ADDITIONAL_IP6_ADDRESS), V }");
  const both = decodeMessage(rawMessage([43, "01"], [46, "00"]));
  assert.equal(describeMessage(both), "INFORMATIONAL request 7 { V } SK(1 octets)");
  assert.equal(describePayloads([]), "");
  assert.equal(describeProposal({ number: 2, protocolId: 1, spi: unhex(""), transforms: [] }), "2: IKE");
});
