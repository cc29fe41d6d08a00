import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "../../src/bytes/errors.ts";
import { hex, unhex } from "../../src/bytes/hex.ts";
import { decodePayloads, encodePayloads } from "../../src/codec/codec.ts";
import type { Payload } from "../../src/codec/message.ts";
import { octets, type RawPayload, rawChain } from "./rawMessage.ts";

const nonce16 = "00112233445566778899aabbccddeeff";

/** Each payload with its octets written by hand from the RFC's drawing. */
const samples: readonly (readonly [section: string, payload: Payload, raw: RawPayload])[] = [
  [
    "3.3, two proposals",
    {
      kind: "SA",
      proposals: [
        {
          number: 1,
          protocolId: 1,
          spi: unhex("0102030405060708"),
          transforms: [
            { type: 1, id: 20, attributes: [{ kind: "TV", type: 14, value: 128 }] },
            { type: 2, id: 5, attributes: [] },
            { type: 4, id: 31, attributes: [] },
          ],
        },
        { number: 2, protocolId: 3, spi: unhex("052357bb"), transforms: [{ type: 5, id: 0, attributes: [] }] },
      ],
    },
    [
      33,
      `02 00 002c 01 01 08 03 0102030405060708
         03 00 000c 01 00 0014 800e 0080
         03 00 0008 02 00 0005
         00 00 0008 04 00 001f
       00 00 0014 02 03 04 01 052357bb
         00 00 0008 05 00 0000`,
    ],
  ],
  [
    "3.3, an MKT: SPI Size 1",
    {
      kind: "SA",
      proposals: [
        {
          number: 1,
          protocolId: 201,
          spi: unhex("3d"),
          transforms: [
            { type: 3, id: 8, attributes: [] },
            { type: 241, id: 1, attributes: [] },
          ],
        },
      ],
    },
    [33, "00 00 0019 01 c9 01 02 3d 03 00 0008 03 00 0008 00 00 0008 f1 00 0001"],
  ],
  [
    "3.3.5, attributes that are not known",
    {
      kind: "SA",
      proposals: [
        {
          number: 7,
          protocolId: 99,
          spi: unhex("0102"),
          transforms: [
            {
              type: 99,
              id: 65535,
              attributes: [
                { kind: "TLV", type: 18, data: unhex("0a0b0c") },
                { kind: "TV", type: 32767, value: 65535 },
                { kind: "TLV", type: 0, data: unhex("") },
              ],
            },
          ],
        },
      ],
    },
    [33, "00 00 0021 07 63 02 01 0102 00 00 0017 63 00 ffff 0012 0003 0a0b0c ffff ffff 0000 0000"],
  ],
  ["3.4", { kind: "KE", method: 31, data: unhex("aabb") }, [34, "001f 0000 aabb"]],
  ["3.5", { kind: "IDi", idType: 2, data: unhex("7231") }, [35, "02 000000 7231"]],
  ["3.5, ID_NULL", { kind: "IDr", idType: 13, data: unhex("") }, [36, "0d 000000"]],
  ["3.6", { kind: "CERT", encoding: 15, data: unhex("3059") }, [37, "0f 3059"]],
  ["3.7", { kind: "CERTREQ", encoding: 4, authorities: unhex("00".repeat(20)) }, [38, `04 ${"00".repeat(20)}`]],
  ["3.8", { kind: "AUTH", method: 14, data: unhex("c0") }, [39, "0e 000000 c0"]],
  ["3.9, the shortest", { kind: "Nonce", data: unhex(nonce16) }, [40, nonce16]],
  ["3.9, the longest", { kind: "Nonce", data: unhex(nonce16.repeat(16)) }, [40, nonce16.repeat(16)]],
  ["3.10", { kind: "N", protocolId: 201, spi: unhex("3d"), notifyType: 16393, data: unhex("") }, [41, "c9 01 4009 3d"]],
  [
    "3.10, data only",
    { kind: "N", protocolId: 0, spi: unhex(""), notifyType: 17, data: unhex("001f") },
    [41, "00 00 0011 001f"],
  ],
  ["3.11, the IKE SA", { kind: "D", protocolId: 1, spiSize: 0, spis: [] }, [42, "01 00 0000"]],
  [
    "3.11, two Child SAs",
    { kind: "D", protocolId: 3, spiSize: 4, spis: [unhex("01020304"), unhex("05060708")] },
    [42, "03 04 0002 01020304 05060708"],
  ],
  [
    "3.11, two MKTs",
    { kind: "D", protocolId: 201, spiSize: 1, spis: [unhex("00"), unhex("ff")] },
    [42, "c9 01 0002 00 ff"],
  ],
  ["3.12", { kind: "V", data: unhex("0102") }, [43, "0102"]],
  [
    "3.13, IPv4",
    {
      kind: "TSi",
      selectors: [
        {
          kind: "range",
          ipProtocol: 6,
          startPort: 179,
          endPort: 179,
          startAddress: unhex("0a000001"),
          endAddress: unhex("0a0000ff"),
        },
      ],
    },
    [44, "01 000000 07 06 0010 00b3 00b3 0a000001 0a0000ff"],
  ],
  [
    "3.13, IPv6 with OPAQUE ports, and a type that is not known",
    {
      kind: "TSr",
      selectors: [
        {
          kind: "range",
          ipProtocol: 0,
          startPort: 65535,
          endPort: 0,
          startAddress: unhex(`20010db8${"00".repeat(12)}`),
          endAddress: unhex(`20010db8${"ff".repeat(12)}`),
        },
        { kind: "unknown", tsType: 10, data: unhex("00616263") },
        { kind: "unknown", tsType: 250, data: unhex("77") },
      ],
    },
    [
      45,
      `03 000000
       08 00 0028 ffff 0000 20010db8${"00".repeat(12)} 20010db8${"ff".repeat(12)}
       0a 00 0007 616263
       fa 77 0004`,
    ],
  ],
  ["3.15", { kind: "CP", data: unhex("01000000") }, [47, "01000000"]],
  ["3.16", { kind: "EAP", data: unhex("02010004") }, [48, "02010004"]],
  ["3.2", { kind: "Unknown", payloadType: 51, critical: false, data: unhex("c0ff") }, [51, "c0ff"]],
];

for (const [section, payload, raw] of samples) {
  test(`${payload.kind} both ways (RFC 7296 section ${section})`, () => {
    const bytes = octets(rawChain([raw]));
    assert.deepEqual(decodePayloads(raw[0], bytes), [payload]);
    assert.deepEqual(encodePayloads([payload]), { firstPayload: raw[0], bytes });
  });
}

test("all of them in one row, in order", () => {
  const payloads = samples.map(([, payload]) => payload);
  const bytes = octets(rawChain(samples.map(([, , raw]) => raw)));
  assert.deepEqual(decodePayloads(33, bytes), payloads);
  assert.equal(hex(encodePayloads(payloads).bytes), hex(bytes));
});

const transform = { type: 1, id: 20, attributes: [] };
const proposal = { number: 1, protocolId: 1, spi: unhex(""), transforms: [transform] };
const range = {
  kind: "range",
  ipProtocol: 6,
  startPort: 0,
  endPort: 65535,
  startAddress: unhex("0a000002"),
  endAddress: unhex("0a000002"),
} as const;

/** What a caller must not ask for: it would not decode, or decode to something else. */
const impossible: readonly (readonly [what: string, payload: Payload])[] = [
  ["no proposal", { kind: "SA", proposals: [] }],
  ["no transform", { kind: "SA", proposals: [{ ...proposal, transforms: [] }] }],
  ["256 transforms", { kind: "SA", proposals: [{ ...proposal, transforms: Array(256).fill(transform) }] }],
  ["proposal 0", { kind: "SA", proposals: [{ ...proposal, number: 0 }] }],
  ["proposals 1 and 3", { kind: "SA", proposals: [proposal, { ...proposal, number: 3 }] }],
  ["33 proposals", { kind: "SA", proposals: Array.from({ length: 33 }, (_, i) => ({ ...proposal, number: i + 1 })) }],
  ["an SPI of 4 octets for IKE", { kind: "SA", proposals: [{ ...proposal, spi: unhex("01020304") }] }],
  ["no key exchange data", { kind: "KE", method: 31, data: unhex("") }],
  ["an IPv4 identity of 5 octets", { kind: "IDi", idType: 1, data: unhex("0102030405") }],
  ["no authentication data", { kind: "AUTH", method: 2, data: unhex("") }],
  ["a nonce of 15 octets", { kind: "Nonce", data: new Uint8Array(15) }],
  ["an SPI of 2 octets for TCP_AO", { kind: "N", protocolId: 201, spi: unhex("0102"), notifyType: 1, data: unhex("") }],
  ["an SPI in D of another size", { kind: "D", protocolId: 201, spiSize: 1, spis: [unhex("0102")] }],
  ["an SPI in D for IKE", { kind: "D", protocolId: 1, spiSize: 8, spis: [] }],
  ["257 SPIs", { kind: "D", protocolId: 201, spiSize: 1, spis: Array(257).fill(unhex("01")) }],
  ["no selector", { kind: "TSi", selectors: [] }],
  ["256 selectors", { kind: "TSi", selectors: Array(256).fill(range) }],
  ["addresses of two families", { kind: "TSi", selectors: [{ ...range, endAddress: new Uint8Array(16) }] }],
  ["addresses that go down", { kind: "TSi", selectors: [{ ...range, endAddress: unhex("0a000001") }] }],
  ["ports that go down", { kind: "TSi", selectors: [{ ...range, startPort: 2, endPort: 1 }] }],
  ["a known type as unknown", { kind: "TSi", selectors: [{ kind: "unknown", tsType: 7, data: unhex("00") }] }],
  ["a known payload as unknown", { kind: "Unknown", payloadType: 33, critical: false, data: unhex("") }],
  ["no payload as unknown", { kind: "Unknown", payloadType: 0, critical: false, data: unhex("") }],
];

for (const [what, payload] of impossible) {
  test(`not encoded: ${payload.kind} with ${what}`, () => {
    assert.throws(() => encodePayloads([payload]), UsageError);
  });
}

test("not encoded: attributes that would not decode", () => {
  const attributes = [
    [{ kind: "TLV", type: 14, data: unhex("0080") }],
    [{ kind: "TV", type: 32768, value: 0 }],
    [
      { kind: "TV", type: 14, value: 128 },
      { kind: "TV", type: 14, value: 256 },
    ],
    Array.from({ length: 9 }, (_, type) => ({ kind: "TV", type, value: 0 }) as const),
  ] as const;
  for (const list of attributes) {
    const sa = { kind: "SA", proposals: [{ ...proposal, transforms: [{ ...transform, attributes: list }] }] } as const;
    assert.throws(() => encodePayloads([sa]), UsageError);
  }
});
