import assert from "node:assert/strict";
import { createDecipheriv } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { concat } from "../../src/bytes/bytes.ts";
import { PeerIncompatible, UsageError } from "../../src/bytes/errors.ts";
import { hex, unhex } from "../../src/bytes/hex.ts";
import {
  decodeMessage,
  decodePayloads,
  encodeEncryptedPrefix,
  encodeMessage,
  encodePayloads,
  refuseUnknownCritical,
} from "../../src/codec/codec.ts";
import { encodeGenericHeader } from "../../src/codec/genericHeader.ts";
import { decodeHeader, encodeHeader } from "../../src/codec/header.ts";
import type { IkeHeader } from "../../src/codec/message.ts";
import { NotifyType } from "../../src/registry/notifyType.ts";
import { PayloadType } from "../../src/registry/payloadType.ts";
import { octets, rawHeader, rawMessage } from "./rawMessage.ts";

const vector = JSON.parse(readFileSync(new URL("../vectors/rfc7634-appendix-b.json", import.meta.url), "utf8"));
const header: IkeHeader = {
  initiatorSpi: 0xc0c1c2c3c4c5c6c7n,
  responderSpi: 0xd0d1d2d3d4d5d6d7n,
  majorVersion: 2,
  minorVersion: 0,
  exchangeType: 37,
  isInitiator: false,
  isResponse: false,
  hasHigherVersion: false,
  messageId: 9,
};

test("RFC 7634 appendix B: the whole IKEv2 message decodes, decrypts and is built again", () => {
  // HDR, SK {N(SET_WINDOW_SIZE)}  -->
  const message = decodeMessage(unhex(vector.ikeMessage));
  assert.deepEqual(message.header, header);
  assert.deepEqual(message.payloads, []);
  assert.ok(message.encrypted);
  const { firstPayload, associatedData, body } = message.encrypted;
  assert.equal(hex(associatedData), vector.aad);
  assert.equal(hex(body.subarray(0, 8)), vector.iv);

  const nonce = concat(unhex(vector.salt), body.subarray(0, 8));
  const decipher = createDecipheriv("chacha20-poly1305", unhex(vector.key), nonce, { authTagLength: 16 });
  decipher.setAAD(associatedData, { plaintextLength: body.length - 24 });
  decipher.setAuthTag(body.subarray(-16));
  const plaintext = concat(decipher.update(body.subarray(8, -16)), decipher.final());
  assert.equal(hex(plaintext), vector.plaintext);
  const payloads = decodePayloads(firstPayload, plaintext.subarray(0, -1), 40);
  assert.deepEqual(payloads, [
    { kind: "N", protocolId: 0, spi: unhex(""), notifyType: NotifyType.SET_WINDOW_SIZE, data: unhex("0000000a") },
  ]);

  const inside = encodePayloads(payloads);
  assert.equal(`${hex(inside.bytes)}00`, vector.plaintext);
  assert.equal(hex(encodeEncryptedPrefix(header, inside.firstPayload, body.length)), vector.aad);
  assert.equal(hex(encodeHeader(header, PayloadType.SK, 69)) + hex(encodeGenericHeader(41, 41)), vector.aad);
});

test("header flags and the X bits, Minor Version, V flag (RFC 7296 section 3.1)", () => {
  const raw = unhex(vector.ikeMessage);
  const withFlags = (flags: number) => decodeHeader(raw.with(19, flags)).header;
  assert.deepEqual(withFlags(0x08), { ...header, isInitiator: true });
  assert.deepEqual(withFlags(0x10), { ...header, hasHigherVersion: true });
  assert.deepEqual(withFlags(0x20), { ...header, isResponse: true });
  assert.deepEqual(withFlags(0xc7), header);
  assert.equal(decodeMessage(raw.with(17, 0x2f)).header.minorVersion, 15);
  for (const flags of [0x08, 0x20, 0x28]) {
    assert.equal(encodeHeader(withFlags(flags), 0, 28)[19], flags);
  }
  const largest = { ...header, messageId: 0xffffffff, initiatorSpi: 2n ** 64n - 1n };
  assert.deepEqual(decodeHeader(encodeHeader(largest, 33, 0xffffffff)), {
    header: largest,
    nextPayload: 33,
    length: 0xffffffff,
  });
});

test("a higher major version is answered with INVALID_MAJOR_VERSION, a lower one not (RFC 7296 section 2.5)", () => {
  const raw = unhex(vector.ikeMessage);
  // Nothing but the version is judged: all else may have changed its meaning.
  for (const datagram of [raw.with(17, 0x30), concat(raw.with(17, 0xf0), Uint8Array.of(1))]) {
    assert.throws(
      () => decodeMessage(datagram),
      (error) =>
        error instanceof PeerIncompatible &&
        error.code === "unsupportedMajorVersion" &&
        error.notifyType === NotifyType.INVALID_MAJOR_VERSION &&
        hex(error.notifyData) === "02",
    );
  }
  assert.throws(
    () => decodeMessage(raw.with(17, 0x10)),
    (error) => error instanceof PeerIncompatible && error.notifyType === undefined,
  );
});

test("in GSA_REKEY both SPI fields are one SPI, so the first half may be zero (RFC 9838 section 2.4.1)", () => {
  const gsaRekey = unhex(vector.ikeMessage).fill(0, 0, 8).with(18, 41);
  assert.equal(decodeMessage(gsaRekey).header.initiatorSpi, 0n);
});

test("what Node's sockets deliver decodes to plain views of it", () => {
  const datagram = Buffer.from(`ffff${vector.ikeMessage}`, "hex").subarray(2);
  const body = decodeMessage(datagram).encrypted?.body;
  assert.ok(body && !Buffer.isBuffer(body));
  datagram[32] = 0xee;
  assert.equal(body[0], 0xee);
});

test("an Encrypted payload must be the last and not inside of another (RFC 7296 section 3.14)", () => {
  const mixed = rawMessage([PayloadType.V, "01"], [PayloadType.SK, "00112233"]);
  assert.equal(decodeMessage(mixed).payloads.length, 1);
  assert.equal(hex(decodeMessage(mixed).encrypted?.body ?? unhex("")), "00112233");
  assert.throws(() => decodePayloads(PayloadType.SK, octets("00000008 00112233"), 100), {
    code: "badValue",
    field: "SK",
    offset: 100,
    section: "RFC 7296 section 3.2",
  });
  assert.throws(() => decodePayloads(PayloadType.V, octets("2e000004 00000004"), 100), { field: "SK", offset: 104 });
});

test("SK may be empty inside, and nothing may stand where nothing is announced", () => {
  assert.deepEqual(decodePayloads(0, unhex("")), []);
  assert.deepEqual(encodePayloads([]), { firstPayload: 0, bytes: unhex("") });
  assert.throws(() => decodePayloads(0, unhex("00"), 40), { code: "trailingOctets", offset: 40 });
});

test("an Encrypted Fragment payload is kept, and ends the message (RFC 7383 section 2.5)", () => {
  const message = decodeMessage(octets(`${rawHeader(53, 40)} 23 00 000c 0001 0002 aabbccdd`));
  assert.deepEqual(message.payloads, [
    { kind: "Unknown", payloadType: 53, critical: false, data: unhex("00010002aabbccdd") },
  ]);
});

test("unknown payloads are skipped unless they are critical (RFC 7296 section 2.5)", () => {
  const skipped = decodeMessage(rawMessage([200, "0102"], [PayloadType.V, "03"]));
  assert.deepEqual(skipped.payloads[0], { kind: "Unknown", payloadType: 200, critical: false, data: unhex("0102") });
  refuseUnknownCritical(skipped.payloads);

  const critical = rawMessage([PayloadType.V, "03"], [200, "0102"]).with(28 + 5 + 1, 0x80);
  const { payloads } = decodeMessage(critical);
  assert.throws(
    () => refuseUnknownCritical(payloads),
    (error) =>
      error instanceof PeerIncompatible &&
      error.notifyType === NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD &&
      hex(error.notifyData) === "c8",
  );
  assert.equal(hex(encodeMessage(decodeMessage(critical).header, payloads)), hex(critical));
  // The critical bit of a payload that we do understand MUST be ignored, RFC 7296 section 3.2
  refuseUnknownCritical(decodeMessage(rawMessage([PayloadType.V, "03"]).with(29, 0xff)).payloads);
});

test("RESERVED fields are ignored on receipt and sent as zero (RFC 7296 sections 3.2 to 3.13)", () => {
  const reserved = rawMessage(
    [33, "00 00 0024 01 01 00 03 03 00 000c 01 00 0014 800e0080 03 00 0008 02 00 0005 00 00 0008 04 00 001f"],
    [34, "001f 0000 aa"],
    [35, "0b 000000 6b"],
    [39, "02 000000 aa"],
    [44, "01 000000 07 06 0010 0000 ffff c0000201 c0000201"],
  );
  const dirty = reserved.slice();
  const positions = [29, 33, 41, 45, 53, 57, 61, 65, 69, 74, 75, 78, 82, 83, 84, 87, 91, 92, 93, 96, 100, 101, 102];
  for (const at of positions) {
    assert.equal(reserved[at], 0, `octet ${at} is no RESERVED field`);
    dirty[at] = 0x7f;
  }
  const decoded = decodeMessage(dirty);
  assert.deepEqual(decoded, decodeMessage(reserved));
  assert.equal(hex(encodeMessage(decoded.header, decoded.payloads)), hex(reserved));
});

test("a payload of more than 65535 octets is our own mistake", () => {
  assert.throws(
    () => encodePayloads([{ kind: "V", data: new Uint8Array(65532) }]),
    (error) => error instanceof UsageError && error.code === "outOfRange",
  );
  assert.equal(encodePayloads([{ kind: "V", data: new Uint8Array(65531) }]).bytes.length, 65535);
});
