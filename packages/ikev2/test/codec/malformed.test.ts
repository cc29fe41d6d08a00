import assert from "node:assert/strict";
import { test } from "node:test";
import { concat } from "../../src/bytes/bytes.ts";
import { MalformedMessage } from "../../src/bytes/errors.ts";
import { decodeMessage } from "../../src/codec/codec.ts";
import { NotifyType } from "../../src/registry/notifyType.ts";
import { PayloadType } from "../../src/registry/payloadType.ts";
import { octets, type RawPayload, rawHeader, rawMessage, uint } from "./rawMessage.ts";

const { SA, KE, IDi, CERT, CERTREQ, AUTH, Nonce, N, D, TSi, TSr, SK, V } = PayloadType;
const nonce16 = "00112233445566778899aabbccddeeff";
const encr = "00 00 000c 01 00 0014 800e0080"; // the last transform: AES-GCM-16, 128 bits
/** A proposal, the last one, of IKE without SPI: header of 8 octets at octet 32, transforms from 40 on. */
const proposal = (transforms: string, count = 1, number = 1) =>
  `00 00 ${uint(8 + octets(transforms).length, 4)} ${uint(number, 2)} 01 00 ${uint(count, 2)} ${transforms}`;
const ipv4 = "07 06 0010 0000 ffff c0000201 c0000201";

interface Case {
  readonly what: string;
  readonly message: Uint8Array;
  readonly code: string;
  readonly field: string;
  readonly offset: number;
  readonly section: string;
}

/** A message of one payload, and what is wrong with it. */
function one(section: string, payload: RawPayload, what: string, code: string, field: string, offset: number): Case {
  return { what, message: rawMessage(payload), code, field, offset, section: `RFC 7296 section ${section}` };
}
function whole(section: string, message: Uint8Array, what: string, code: string, field: string, offset: number): Case {
  return { what, message, code, field, offset, section: `RFC 7296 section ${section}` };
}
const raw = (next: number, length: number, body: string) => octets(rawHeader(next, length) + body);

const cases: readonly Case[] = [
  whole("3.1", new Uint8Array(0), "an empty datagram", "truncated", "HDR IKE SA Initiator's SPI", 0),
  whole("3.1", raw(N, 28, "").subarray(0, 27), "27 octets", "truncated", "HDR Length", 24),
  whole("3.1", raw(0, 28, ""), "no payload at all", "badValue", "HDR Next Payload", 16),
  whole("3.1", raw(N, 35, "00000008 00000000"), "Length below the datagram's", "badLength", "HDR Length", 24),
  whole("3.1", raw(N, 37, "00000008 00000000"), "Length above the datagram's", "badLength", "HDR Length", 24),
  whole(
    "3.1",
    concat(new Uint8Array(8), raw(N, 36, "00000008 00004000").subarray(8)),
    "an Initiator's SPI of zero",
    "badValue",
    "HDR IKE SA Initiator's SPI",
    0,
  ),

  whole("3.2", raw(N, 28, ""), "the first payload is missing", "truncated", "Next Payload", 28),
  whole("3.2", raw(N, 31, "000000"), "half a generic header", "truncated", "Payload Length", 30),
  whole("3.2", raw(V, 32, "00000003"), "Payload Length 3", "badLength", "Payload Length", 30),
  whole("3.2", raw(V, 33, "00000006 00"), "Payload Length past the end", "badLength", "Payload Length", 30),
  whole("3.2", raw(V, 34, "00000005 00 00"), "octets after the last payload", "trailingOctets", "payloads", 33),
  whole("3.2", raw(V, 32, "2b000004"), "a next payload that is not there", "truncated", "Next Payload", 32),
  whole("3.2", raw(SK, 36, "29000004 00000000"), "octets after SK", "trailingOctets", "SK", 32),
  whole("3.2", rawMessage(...Array<RawPayload>(101).fill([V, ""])), "101 payloads", "tooMany", "Next Payload", 428),
  whole("3.2", raw(53, 36, "29000004 00000000"), "octets after SKF", "trailingOctets", "payloads", 32),

  one("3.3", [SA, ""], "SA: no proposal", "truncated", "Proposal Last Substruc", 32),
  one("3.3", [SA, `01${proposal(encr).slice(2)}`], "SA: Last Substruc 1", "badValue", "Proposal Last Substruc", 32),
  one("3.3", [SA, "00 00 0007 01 01 00"], "SA: Proposal Length 7", "badLength", "Proposal Length", 34),
  one("3.3", [SA, "00 00 0009 01 01 00 01"], "SA: Proposal Length past the end", "badLength", "Proposal Length", 34),
  one("3.3", [SA, `${proposal(encr)}00`], "SA: octets after it", "trailingOctets", "SA Proposals", 52),
  one("3.3", [SA, `02${proposal(encr).slice(2)}`], "SA: one too few", "truncated", "Proposal Last Substruc", 52),
  one(
    "3.3",
    [SA, `02${proposal(encr).slice(2)}${proposal(encr, 1, 3)}`],
    "SA: proposal 3 follows 1",
    "badValue",
    "Proposal Num",
    56,
  ),
  one(
    "3.3",
    [SA, Array.from({ length: 33 }, (_, i) => `${i < 32 ? "02" : "00"}${proposal(encr, 1, i + 1).slice(2)}`).join("")],
    "SA: 33 proposals",
    "tooMany",
    "SA Proposals",
    32 + 32 * 20,
  ),
  one("3.3.1", [SA, proposal(encr, 1, 0)], "SA: proposal number 0", "badValue", "Proposal Num", 36),
  one("3.3.1", [SA, proposal(encr, 0)], "SA: no transforms", "badCount", "Proposal Num Transforms", 39),
  one("3.3.1", [SA, proposal(encr, 2)], "SA: 2 transforms said, 1 there", "badValue", "Transform Last Substruc", 40),
  one(
    "3.3.1",
    [SA, proposal(`03${encr.slice(2)}`, 1)],
    "SA: 1 transform said, Last Substruc 3",
    "badValue",
    "Transform Last Substruc",
    40,
  ),
  one(
    "3.3.1",
    [SA, proposal(`${encr}${encr}`, 1)],
    "SA: 1 transform said, 2 there",
    "trailingOctets",
    "Proposal Transforms",
    52,
  ),
  one(
    "3.3.1",
    [SA, proposal(`03${encr.slice(2)}`, 2)],
    "SA: 2nd is missing",
    "truncated",
    "Transform Last Substruc",
    52,
  ),
  one("3.3.1", [SA, proposal("00 00 0007 01 00 0014")], "SA: Transform Length 7", "badLength", "Transform Length", 42),
  one("3.3.1", [SA, proposal("00 00 0009 01 00 0014")], "SA: Transform Length 9", "badLength", "Transform Length", 42),
  ...(
    [
      ["IKE", "01", "04"],
      ["AH", "02", "00"],
      ["ESP", "03", "08"],
      ["TCP_AO", "c9", "04"],
    ] as const
  ).map(([name, protocol, size]) =>
    one(
      "3.3.1",
      [SA, `00 00 0014 01 ${protocol} ${size} 01 ${encr}`],
      `SA: SPI Size ${size} for ${name}`,
      "badValue",
      "Proposal SPI Size",
      38,
    ),
  ),
  one("3.3.1", [SA, "00 00 000a 01 03 04 01 0102"], "SA: half an SPI", "truncated", "Proposal SPI", 40),
  one(
    "3.3.5",
    [SA, proposal("00 00 000a 01 00 0014 800e")],
    "attribute: TV without value",
    "truncated",
    "Attribute Value",
    50,
  ),
  one("3.3.5", [SA, proposal("00 00 0009 01 00 0014 80")], "attribute: 1 octet", "truncated", "Attribute Type", 48),
  one(
    "3.3.5",
    [SA, proposal("00 00 000e 01 00 0014 000e00020080")],
    "attribute: Key Length in TLV form",
    "badValue",
    "Attribute Type",
    48,
  ),
  one(
    "3.3.5",
    [SA, proposal("00 00 000d 01 00 0014 0012000201")],
    "attribute: TLV past the end",
    "badLength",
    "Attribute Length",
    50,
  ),
  one(
    "3.3.5",
    [SA, proposal("00 00 0010 01 00 0014 800e0080 800e0100")],
    "attribute: twice the same type",
    "badValue",
    "Attribute Type",
    52,
  ),
  one(
    "3.3.5",
    [SA, proposal(`00 00 002c 01 00 0014 ${Array.from({ length: 9 }, (_, i) => `80${uint(i, 2)}0000`).join("")}`)],
    "attribute: nine of them",
    "tooMany",
    "Transform Attributes",
    80,
  ),

  one("3.4", [KE, ""], "KE: nothing", "truncated", "KE Key Exchange Method", 32),
  one("3.4", [KE, "001f00"], "KE: half of RESERVED", "truncated", "KE RESERVED", 34),
  one("3.4", [KE, "001f0000"], "KE: no data", "badLength", "KE Key Exchange Data", 36),
  one("3.5", [IDi, ""], "IDi: nothing", "truncated", "IDi ID Type", 32),
  one("3.5", [IDi, "0b 0000"], "IDi: 2 octets RESERVED", "truncated", "IDi RESERVED", 33),
  one("3.5", [IDi, "01 000000 c00002"], "IDi: IPv4 of 3 octets", "badLength", "IDi Identification Data", 36),
  one("3.5", [IDi, `05 000000 ${nonce16}00`], "IDi: IPv6 of 17 octets", "badLength", "IDi Identification Data", 36),
  one("3.5", [IDi, "02 000000 7231 00"], "IDi: NUL in an FQDN", "badValue", "IDi Identification Data", 36),
  one(
    "3.5",
    [PayloadType.IDr, "03 000000 61 0d 40"],
    "IDr: CR in an address",
    "badValue",
    "IDr Identification Data",
    36,
  ),
  one("3.5", [IDi, "02 000000 7f"], "IDi: DEL in an FQDN", "badValue", "IDi Identification Data", 36),
  one("3.6", [CERT, ""], "CERT: nothing", "truncated", "CERT Cert Encoding", 32),
  one("3.7", [CERTREQ, ""], "CERTREQ: nothing", "truncated", "CERTREQ Cert Encoding", 32),
  one("3.8", [AUTH, "02 0000"], "AUTH: 2 octets RESERVED", "truncated", "AUTH RESERVED", 33),
  one("3.8", [AUTH, "02 000000"], "AUTH: no data", "badLength", "AUTH Authentication Data", 36),
  one("3.9", [Nonce, nonce16.slice(2)], "nonce of 15 octets", "badLength", "Nonce Nonce Data", 32),
  one("3.9", [Nonce, "00".repeat(257)], "nonce of 257 octets", "badLength", "Nonce Nonce Data", 32),
  one("3.10", [N, "00 00 40"], "N: half a type", "truncated", "N Notify Message Type", 34),
  one("3.10", [N, "03 04 4009 010203"], "N: SPI past the end", "truncated", "N SPI", 36),
  one("3.10", [N, `01 08 4009 ${nonce16}`], "N: SPI for IKE", "badValue", "N SPI Size", 33),
  one("3.10", [N, "03 01 4009 01"], "N: SPI Size 1 for ESP", "badValue", "N SPI Size", 33),
  one("3.10", [N, "c9 04 be03 01020304"], "N: SPI Size 4 for TCP_AO", "badValue", "N SPI Size", 33),
  one("3.11", [D, "01 00 00"], "D: half a count", "truncated", "D Num of SPIs", 34),
  one("3.11", [D, `01 08 0001 ${nonce16.slice(16)}`], "D: SPI for IKE", "badValue", "D SPI Size", 33),
  one("3.11", [D, "c9 04 0001 01020304"], "D: SPI Size 4 for TCP_AO", "badValue", "D SPI Size", 33),
  one("3.11", [D, "c9 00 0000"], "D: SPI Size 0 for TCP_AO", "badValue", "D SPI Size", 33),
  one("3.11", [D, "01 00 0001"], "D: a count of SPIs without size", "badCount", "D Num of SPIs", 34),
  one("3.11", [D, "c9 01 0002 3d"], "D: 2 SPIs said, 1 there", "badCount", "D Num of SPIs", 34),
  one("3.11", [D, "c9 01 0001 3d3e"], "D: 1 SPI said, 2 there", "badCount", "D Num of SPIs", 34),
  one("3.11", [D, `c9 01 0101 ${"3d".repeat(257)}`], "D: 257 SPIs", "tooMany", "D Num of SPIs", 34),
  one("3.13", [TSi, "00 000000"], "TSi: no selector", "badCount", "TSi Number of TSs", 32),
  one("3.13", [TSi, "01 0000"], "TSi: 2 octets RESERVED", "truncated", "TSi RESERVED", 33),
  one("3.13", [TSi, `02 000000 ${ipv4}`], "TSi: 2 said, 1 there", "truncated", "TS Type", 52),
  one(
    "3.13",
    [TSr, `01 000000 ${ipv4} ${ipv4}`],
    "TSr: 1 said, 2 there",
    "trailingOctets",
    "TSr Traffic Selectors",
    52,
  ),
  one("3.13", [TSi, "01 000000 0a 00 0003"], "TSi: Selector Length 3", "badLength", "TS Selector Length", 38),
  one("3.13", [TSi, "01 000000 0a 00 0005"], "TSi: Selector Length 5", "badLength", "TS Selector Length", 38),
  one("3.13", [TSi, `01 000000 08${ipv4.slice(2)}`], "TSi: IPv6 of 16 octets", "badLength", "TS Selector Length", 38),
  one(
    "3.13",
    [TSi, `01 000000 07 06 0028 ${"00".repeat(36)}`],
    "TSi: IPv4 of 40",
    "badLength",
    "TS Selector Length",
    38,
  ),
  one(
    "3.13.1",
    [TSi, "01 000000 07 06 0010 00b4 00b3 c0000201 c0000201"],
    "TSi: ports that go down",
    "badValue",
    "TS Start Port",
    40,
  ),
  one(
    "3.13.1",
    [TSi, "01 000000 07 06 0010 0000 ffff c0000202 c0000201"],
    "TSi: addresses that go down",
    "badValue",
    "TS Starting Address",
    44,
  ),
];

for (const { what, message, ...expected } of cases) {
  test(`refused: ${what} (${expected.section})`, () => {
    assert.throws(
      () => decodeMessage(message),
      (error) => {
        assert.ok(error instanceof MalformedMessage, String(error));
        const { code, field, offset, section } = error;
        assert.deepEqual({ code, field, offset, section }, expected);
        assert.equal(error.notifyType, NotifyType.INVALID_SYNTAX);
        return true;
      },
    );
  });
}

test("every beginning of a message is refused, and so is the message with an octet more", () => {
  const message = rawMessage([SA, proposal(encr)], [KE, "001f0000 aa"], [Nonce, nonce16], [N, "00 00 4004"], [V, "01"]);
  assert.equal(decodeMessage(message).payloads.length, 5);
  for (let length = 0; length < message.length; length++) {
    const cut = message.slice(0, length);
    assert.throws(() => decodeMessage(cut), MalformedMessage);
    if (length >= 28) {
      // With a Length field that fits, the fault is found in the payloads.
      new DataView(cut.buffer).setUint32(24, length);
      assert.throws(
        () => decodeMessage(cut),
        (error) => error instanceof MalformedMessage && error.field !== "HDR Length" && error.offset <= length,
      );
    }
  }
  assert.throws(() => decodeMessage(concat(message, Uint8Array.of(0))), { field: "HDR Length" });
});
