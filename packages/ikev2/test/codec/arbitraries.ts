import fc from "fast-check";
import { compareBytes } from "../../src/bytes/bytes.ts";
import type { IkeHeader, Payload, Proposal, Transform, TransformAttribute } from "../../src/codec/message.ts";
import type { TrafficSelector } from "../../src/codec/trafficSelector.ts";

/** Anything that the codec can encode. */

/** Plain objects, as the decoder makes them. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;

const uint8 = fc.integer({ min: 0, max: 0xff });
const uint16 = fc.integer({ min: 0, max: 0xffff });
const octets = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
const emptySpi = octets(0, 0);

export const ikeHeader: fc.Arbitrary<IkeHeader> = record({
  initiatorSpi: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
  responderSpi: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  majorVersion: fc.constant(2),
  minorVersion: fc.integer({ min: 0, max: 15 }),
  exchangeType: fc.oneof(fc.constantFrom(34, 35, 36, 37), uint8),
  isInitiator: fc.boolean(),
  isResponse: fc.boolean(),
  hasHigherVersion: fc.boolean(),
  messageId: fc.integer({ min: 0, max: 0xffffffff }),
});

const attribute: fc.Arbitrary<TransformAttribute> = fc.oneof(
  record({ kind: fc.constant("TV" as const), type: fc.integer({ min: 0, max: 0x7fff }), value: uint16 }),
  record({ kind: fc.constant("TV" as const), type: fc.constant(14), value: fc.constantFrom(128, 192, 256) }),
  record({
    kind: fc.constant("TLV" as const),
    type: fc.integer({ min: 0, max: 0x7fff }).filter((type) => type !== 14),
    data: octets(0, 20),
  }),
);

const transform: fc.Arbitrary<Transform> = record({
  type: fc.oneof(fc.constantFrom(1, 2, 3, 4, 5, 241), uint8),
  id: uint16,
  attributes: fc.uniqueArray(attribute, { maxLength: 3, selector: ({ type }) => type }),
});

/** [protocol, SPI] as the place allows. */
const protocolAndSpi = (ikeSpiSizes: readonly number[], mayBeEmpty: boolean) => {
  const of = (protocolId: number, spi: fc.Arbitrary<Uint8Array>) => fc.tuple(fc.constant(protocolId), spi);
  const orEmpty = (spi: fc.Arbitrary<Uint8Array>) => (mayBeEmpty ? fc.oneof(spi, emptySpi) : spi);
  return fc.oneof(
    ...ikeSpiSizes.map((size) => of(1, octets(size, size))),
    of(2, orEmpty(octets(4, 4))),
    of(3, orEmpty(octets(4, 4))),
    of(201, orEmpty(octets(1, 1))),
    of(99, octets(0, 20)),
  );
};

const proposals: fc.Arbitrary<readonly Proposal[]> = fc
  .tuple(
    fc.integer({ min: 1, max: 200 }),
    fc.array(fc.tuple(protocolAndSpi([0, 8], false), fc.array(transform, { minLength: 1, maxLength: 6 })), {
      minLength: 1,
      maxLength: 4,
    }),
  )
  .map(([first, list]) =>
    list.map(([[protocolId, spi], transforms], index) => ({ number: first + index, protocolId, spi, transforms })),
  );

const range = (size: number): fc.Arbitrary<TrafficSelector> =>
  fc
    .tuple(
      uint8,
      fc.oneof(fc.tuple(uint16, uint16), fc.constant([65535, 0] as const)),
      octets(size, size),
      octets(size, size),
    )
    .map(([ipProtocol, [a, b], x, y]) => {
      const isOpaque = a === 65535 && b === 0;
      const [startPort, endPort] = a <= b || isOpaque ? [a, b] : [b, a];
      const [startAddress, endAddress] = compareBytes(x, y) <= 0 ? [x, y] : [y, x];
      return { kind: "range", ipProtocol, startPort, endPort, startAddress, endAddress };
    });

const selector: fc.Arbitrary<TrafficSelector> = fc.oneof(
  range(4),
  range(16),
  record({
    kind: fc.constant("unknown" as const),
    tsType: uint8.filter((tsType) => tsType !== 7 && tsType !== 8),
    data: octets(1, 20),
  }),
);

const identity = fc.oneof(
  fc.tuple(fc.constant(1), octets(4, 4)),
  fc.tuple(fc.constant(5), octets(16, 16)),
  fc.tuple(
    fc.constantFrom(2, 3),
    octets(0, 20).map((data) => data.map((octet) => 0x20 + (octet % 0x5f))),
  ),
  fc.tuple(
    uint8.filter((idType) => ![1, 2, 3, 5].includes(idType)),
    octets(0, 20),
  ),
);

const deletion: fc.Arbitrary<Payload> = fc
  .tuple(
    fc.constantFrom([1, 0] as const, [2, 4] as const, [3, 4] as const, [201, 1] as const, [6, 16] as const),
    fc.array(octets(16, 16), { maxLength: 5 }),
  )
  .map(([[protocolId, spiSize], spis]) => ({
    kind: "D",
    protocolId,
    spiSize,
    spis: spiSize === 0 ? [] : spis.map((spi) => spi.slice(0, spiSize)),
  }));

const kind = <K extends Payload["kind"]>(name: K) => fc.constant(name);

export const payload: fc.Arbitrary<Payload> = fc.oneof(
  record({ kind: kind("SA"), proposals }),
  record({ kind: kind("KE"), method: uint16, data: octets(1, 64) }),
  fc.tuple(fc.constantFrom("IDi" as const, "IDr" as const), identity).map(([name, [idType, data]]) => ({
    kind: name,
    idType,
    data,
  })),
  record({ kind: kind("CERT"), encoding: uint8, data: octets(0, 64) }),
  record({ kind: kind("CERTREQ"), encoding: uint8, authorities: octets(0, 40) }),
  record({ kind: kind("AUTH"), method: uint8, data: octets(1, 64) }),
  record({ kind: kind("Nonce"), data: octets(16, 256) }),
  fc
    .tuple(protocolAndSpi([0], true), uint16, octets(0, 40))
    .map(([[protocolId, spi], notifyType, data]) => ({ kind: "N" as const, protocolId, spi, notifyType, data })),
  deletion,
  record({ kind: kind("V"), data: octets(0, 40) }),
  record({
    kind: fc.constantFrom("TSi" as const, "TSr" as const),
    selectors: fc.array(selector, { minLength: 1, maxLength: 5 }),
  }),
  record({ kind: fc.constantFrom("CP" as const, "EAP" as const), data: octets(0, 40) }),
  record({
    kind: kind("Unknown"),
    payloadType: fc.oneof(
      fc.integer({ min: 1, max: 32 }),
      fc.integer({ min: 54, max: 255 }),
      fc.integer({ min: 49, max: 52 }),
    ),
    critical: fc.boolean(),
    data: octets(0, 40),
  }),
);
