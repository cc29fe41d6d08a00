/** docs/protocol/private-code-points.md is what others implement from: its examples and numbers are those of the code. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { encodeFreeze } from "../../src/codec/notifies/freeze.ts";
import { decodeKeyIdsTaken, encodeKeyIdsTaken } from "../../src/codec/notifies/keyIds.ts";
import { encodeKeyLifetime } from "../../src/codec/notifies/keyLifetime.ts";
import { encodeKeyState } from "../../src/codec/notifies/keyState.ts";
import {
  encodePayloads,
  formatSelectors,
  hex,
  KeyState,
  keyIdBitmapOf,
  mktSelectors,
  NotifyType,
  type Payload,
  parseAddress,
  SecurityProtocolId,
  TcpOptions,
  TransformType,
} from "../../src/index.ts";
import { buildMktProposals, chooseMktProposal } from "../../src/policy/mktProposal.ts";
import { Pair } from "../engine/pair.ts";

const text = readFileSync(new URL("../../../../docs/protocol/private-code-points.md", import.meta.url), "utf8");
/** The examples in the order in which they stand there, without spaces. */
const examples = [...text.matchAll(/```\n([0-9a-f \n]+)```/g)].map(([, octets]) => octets?.replaceAll(/\s/g, "") ?? "");

function body(payload: Payload): string {
  return hex(encodePayloads([payload]).bytes.subarray(4));
}

const terms = { integrity: [2, 8], tcpOptions: [1, 0], keyExchange: [] };
const offer = buildMktProposals(terms, 1, "IKE_AUTH");
const answer = chooseMktProposal(offer, terms, { sendId: 17, recvId: 1, exchange: "IKE_AUTH" });
const { localSelectors } = mktSelectors(address("10.0.0.1"), address("10.0.0.2"), 179);

function address(written: string): Uint8Array {
  return parseAddress(written) ?? assert.fail(written);
}

test("every example of the document is what the code sends", () => {
  assert.ok(answer.ok);
  assert.deepEqual(examples, [
    createHash("sha256").update("karp IKEv2 private code points 1").digest("hex").slice(0, 32),
    hex(encodePayloads([{ kind: "SA", proposals: offer }]).bytes),
    hex(encodePayloads([{ kind: "SA", proposals: [answer.value.answer] }]).bytes),
    body({ kind: "TSi", selectors: localSelectors }),
    body({ kind: "D", protocolId: 201, spiSize: 1, spis: [Uint8Array.of(61), Uint8Array.of(62)] }),
    body(encodeKeyIdsTaken(keyIdBitmapOf([0, 255]))),
    body(encodeKeyState({ sendId: 61, state: KeyState.ready, reason: "" })),
    body(encodeKeyLifetime({ softSeconds: 30 * 86_400, hardSeconds: 90 * 86_400 })),
    body(encodeFreeze(3600)),
  ]);
  assert.ok(text.includes(`TSi = { ${formatSelectors(localSelectors)} }`));
});

test("the Vendor ID of the document is the one in IKE_SA_INIT", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  assert.ok(hex(pair.take().data).includes(examples[0] ?? "none"));
});

test("every number of the document is that of the registry", () => {
  const rows: readonly (readonly [string, number])[] = [
    ["TCP_AO", SecurityProtocolId.TCP_AO],
    ["TCP_OPT", TransformType.TCP_OPT],
    ["KEYID_IN_USE", NotifyType.KEYID_IN_USE],
    ["KMP_KEY_LIFETIME", NotifyType.KMP_KEY_LIFETIME],
    ["KMP_KEY_STATE", NotifyType.KMP_KEY_STATE],
    ["KMP_KEYIDS_TAKEN", NotifyType.KMP_KEYIDS_TAKEN],
    ["KMP_FREEZE", NotifyType.KMP_FREEZE],
  ];
  for (const [name, number] of rows) assert.match(text, new RegExp(`\\| ${name} \\| ${number} \\|`), name);
  assert.deepEqual(Object.values(TcpOptions), [0, 1]);
  const states = [...text.matchAll(/^\| (\d) ([a-z-]+) \|/gm)].map(([, number, name]) => [name, Number(number)]);
  const known = Object.entries(KeyState).map(([name, number]) => [name === "inUse" ? "in-use" : name, number]);
  assert.deepEqual(states, known);
});

test("an empty SPI: Protocol ID 0 is sent, any is accepted (RFC 7296 section 3.10)", () => {
  const bitmap = keyIdBitmapOf([7]);
  const notify = encodeKeyIdsTaken(bitmap);
  assert.deepEqual([notify.protocolId, notify.spi.length], [0, 0]);
  assert.deepEqual(decodeKeyIdsTaken({ ...notify, protocolId: SecurityProtocolId.TCP_AO }), bitmap);
});
