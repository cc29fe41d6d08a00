import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, setUint16 } from "../src/bytes.ts";
import { fillChecksum } from "../src/checksum.ts";
import {
  buildSegment,
  hasValidTcpChecksum,
  type MacAlgorithm,
  macAlgorithms,
  parseAddress,
  parseSegment,
  type SegmentFields,
  type SegmentRefusalCode,
  signSegment,
  TcpAoUsageError,
  verifySegment,
  withoutTcpAoOption,
} from "../src/index.ts";
import { ALICE, BOB, crypto, hex, KEEPALIVE, segmentKey, toHex, unwrap } from "./support.ts";

const algorithms = Object.keys(macAlgorithms) as MacAlgorithm[];
const IDS = { keyId: 7, rNextKeyId: 9, sne: 3 };

function ipv4(more: Partial<SegmentFields> = {}): Uint8Array {
  return buildSegment({
    sourceAddress: ALICE,
    destinationAddress: BOB,
    sourcePort: 40000,
    destinationPort: 179,
    sequenceNumber: 1,
    flags: { ack: true },
    data: KEEPALIVE,
    ...more,
  });
}

function ipv6(more: Partial<SegmentFields> = {}): Uint8Array {
  return ipv4({ sourceAddress: parseAddress("fd00::1"), destinationAddress: parseAddress("fd00::2"), ...more });
}

function refusalCode(packet: Uint8Array): SegmentRefusalCode | "accepted" {
  const parsed = parseSegment(packet);
  return parsed.ok ? "accepted" : parsed.error.code;
}

/** An IPv4 packet after `change`, with a right header checksum again. */
function changed(packet: Uint8Array, change: (packet: Uint8Array) => void): Uint8Array {
  change(packet);
  fillChecksum(packet.subarray(0, 20), 10);
  return packet;
}

const AO = "1d10070900112233445566778899aabb";
const MD5 = "1312000102030405060708090a0b0c0d0e0f";

test("a segment is read as it was built, IPv4 and IPv6", () => {
  for (const packet of [ipv4(), ipv6()]) {
    const segment = unwrap(parseSegment(packet));
    assert.deepEqual([segment.sourcePort, segment.destinationPort, segment.sequenceNumber], [40000, 179, 1]);
    assert.deepEqual([segment.isSyn, segment.isAck, segment.isRst, segment.isFin], [false, true, false, false]);
    assert.equal(toHex(segment.data), toHex(KEEPALIVE));
    assert.ok(hasValidTcpChecksum(segment));
    assert.equal(segment.tcpAo, undefined);
  }
});

test("the TCP-AO option is found with its fields (RFC 5925 section 2.2)", () => {
  const { tcpAo } = unwrap(parseSegment(ipv4({ options: hex(`0101080a0000000100000002${AO}`) })));
  assert.ok(tcpAo);
  assert.deepEqual([tcpAo.offset, tcpAo.lengthBytes, tcpAo.keyId, tcpAo.rNextKeyId], [32, 16, 7, 9]);
  assert.equal(toHex(tcpAo.mac), "00112233445566778899aabb");
});

test("a TCP-AO option of 4 octets, without a MAC, is well-formed (RFC 5925 section 2.2)", () => {
  assert.equal(unwrap(parseSegment(ipv4({ options: hex("1d040709") }))).tcpAo?.mac.length, 0);
});

const badOptions: readonly [string, string, SegmentRefusalCode][] = [
  ["two TCP-AO options (RFC 5925 section 2.2)", "1d0407091d040709", "multipleTcpAo"],
  ["TCP-AO and TCP MD5 (RFC 5925 section 2.2)", `1d040709${MD5}0000`, "tcpAoWithTcpMd5"],
  ["TCP-AO shorter than 4 octets (RFC 5925 section 2.2)", "1d030700", "badTcpAoLength"],
  ["TCP-AO that goes past the header (RFC 5925 section 2.2)", "1d080709", "badTcpAoLength"],
  ["TCP-AO without a length", "0101011d", "truncatedTcpOption"],
  ["another option of length 0", "08000000", "badTcpOptionLength"],
  ["another option that goes past the header", "080a0000", "badTcpOptionLength"],
];
for (const [name, options, code] of badOptions) {
  test(`refused: ${name}`, () => assert.equal(refusalCode(ipv4({ options: hex(options) })), code));
}

test("what follows End of Option List is not an option", () => {
  assert.equal(unwrap(parseSegment(ipv4({ options: hex(`00010101${AO}`) }))).tcpAo, undefined);
});

const badIpv4: readonly [string, Uint8Array, SegmentRefusalCode][] = [
  ["nothing", hex(""), "notIp"],
  ["IP version 5", hex("55"), "notIp"],
  ["half an IPv4 header", ipv4().subarray(0, 19), "truncatedIpHeader"],
  ["IHL 4", changed(ipv4(), (packet) => packet.set([0x44])), "badIpHeaderLength"],
  ["IHL past the end", changed(ipv4({ data: hex("") }), (packet) => packet.set([0x4f])), "badIpHeaderLength"],
  ["Total Length too small", changed(ipv4(), (packet) => setUint16(packet, 2, 58)), "badIpTotalLength"],
  ["octets behind Total Length", concat(ipv4(), hex("00")), "badIpTotalLength"],
  ["the first fragment", changed(ipv4(), (packet) => setUint16(packet, 6, 0x2000)), "fragment"],
  ["a later fragment", changed(ipv4(), (packet) => setUint16(packet, 6, 1)), "fragment"],
  ["UDP", changed(ipv4(), (packet) => packet.set([17], 9)), "notTcp"],
  ["a wrong header checksum", withTtl(ipv4(), 1), "badIpHeaderChecksum"],
  ["Data Offset 4", changed(ipv4(), (packet) => packet.set([0x40], 32)), "badTcpDataOffset"],
  [
    "Data Offset past the end",
    changed(ipv4({ data: hex("") }), (packet) => packet.set([0xf0], 32)),
    "badTcpDataOffset",
  ],
  ["half a TCP header", shortened(ipv4(), 39), "truncatedTcpHeader"],
];
for (const [name, packet, code] of badIpv4) {
  test(`refused (RFC 791 section 3.1, RFC 9293 section 3.1): ${name}`, () => assert.equal(refusalCode(packet), code));
}

function withTtl(packet: Uint8Array, ttl: number): Uint8Array {
  packet[8] = ttl;
  return packet;
}

function shortened(packet: Uint8Array, length: number): Uint8Array {
  return changed(packet.slice(0, length), (short) => setUint16(short, 2, length));
}

/** An IPv6 packet with these octets between its header and TCP. */
function withExtension(nextHeader: number, extension: string): Uint8Array {
  const packet = ipv6();
  const extended = concat(packet.subarray(0, 40), hex(extension), packet.subarray(40));
  extended[6] = nextHeader;
  setUint16(extended, 4, extended.length - 40);
  return extended;
}

test("IPv6 extension headers are skipped (RFC 8200 section 4)", () => {
  const packet = withExtension(0, `3c00000000000000${"0601".padEnd(32, "0")}`);
  const segment = unwrap(parseSegment(packet));
  assert.equal(segment.tcpOffset, 64);
  assert.ok(hasValidTcpChecksum(segment));
  assert.equal(refusalCode(withExtension(43, "0600000000000000")), "accepted");
});

const badIpv6: readonly [string, Uint8Array, SegmentRefusalCode][] = [
  ["half an IPv6 header", ipv6().subarray(0, 39), "truncatedIpHeader"],
  ["a wrong Payload Length", ipv6().subarray(0, 70), "badIpTotalLength"],
  ["a fragment header", withExtension(44, "0600000000000000"), "fragment"],
  ["a routing header that is not finished", withExtension(43, "0600000100000000"), "routingHeaderNotFinished"],
  ["ESP", withExtension(50, "0600000000000000"), "notTcp"],
  ["an extension header past the end", withExtension(60, "06ff000000000000"), "truncatedIpHeader"],
];
for (const [name, packet, code] of badIpv6) {
  test(`refused (RFC 8200 section 4): ${name}`, () => assert.equal(refusalCode(packet), code));
}

test("signing inserts the option behind the others and keeps both checksums right (RFC 5925 section 7.4)", () => {
  for (const algorithm of algorithms) {
    for (const packet of [ipv4(), ipv6(), ipv4({ options: hex("0101080a0000000100000002") })]) {
      const before = unwrap(parseSegment(packet));
      const signed = unwrap(signSegment({ crypto, packet, key: segmentKey(algorithm), ...IDS }));
      const segment = unwrap(parseSegment(signed));
      assert.equal(segment.tcpAo?.offset, before.tcpHeaderBytes);
      assert.equal(segment.tcpAo?.lengthBytes, macAlgorithms[algorithm].optionLengthBytes);
      assert.equal(toHex(segment.data), toHex(before.data));
      assert.ok(hasValidTcpChecksum(segment));
      assert.ok(verifySegment({ crypto, packet: signed, key: segmentKey(algorithm), sne: IDS.sne }).ok);
    }
  }
});

test("signing does not change the caller's packet, be it a Buffer or not", () => {
  const packet = Buffer.from(ipv4({ options: hex(AO) }));
  const before = packet.toString("hex");
  unwrap(signSegment({ crypto, packet, key: segmentKey("hmac-sha-1-96"), ...IDS }));
  unwrap(
    verifySegment({
      crypto,
      packet: unwrap(signSegment({ crypto, packet, key: segmentKey("hmac-sha-1-96"), ...IDS })),
      key: segmentKey("hmac-sha-1-96"),
      sne: 3,
    }),
  );
  assert.equal(packet.toString("hex"), before);
});

test("an option of another length is replaced", () => {
  const key = segmentKey("hmac-sha-256-128");
  const signed = unwrap(signSegment({ crypto, packet: ipv4({ options: hex(AO) }), key, ...IDS }));
  assert.equal(unwrap(parseSegment(signed)).tcpAo?.lengthBytes, 20);
});

test("trailing padding makes room; when there is none, the refusal says so (RFC 5925 section 7.6)", () => {
  const padded = `${"01".repeat(12)}080a${"00".repeat(8)}${"01".repeat(2)}`;
  const sign = (options: string) =>
    signSegment({ crypto, packet: ipv4({ options: hex(options) }), key: segmentKey("aes-128-cmac-96"), ...IDS });
  assert.ok(sign(padded).ok);
  const full = sign(`0522${"00".repeat(32)}0101`);
  assert.ok(!full.ok && full.error.code === "optionSpaceExhausted");
});

test("the option can be taken out again (RFC 5925 section 7.5, step 1.a.i)", () => {
  const packet = ipv4({ options: hex("0101080a0000000100000002") });
  const signed = unwrap(
    parseSegment(unwrap(signSegment({ crypto, packet, key: segmentKey("hmac-sha-1-96"), ...IDS }))),
  );
  const plain = unwrap(parseSegment(unwrap(withoutTcpAoOption(signed))));
  assert.equal(plain.tcpAo, undefined);
  assert.equal(toHex(plain.packet.subarray(40, 52)), "0101080a0000000100000002");
});

test("a packet with TCP MD5 is not signed with TCP-AO (RFC 5925 section 2.2)", () => {
  const signed = signSegment({
    crypto,
    packet: ipv4({ options: hex(`${MD5}0000`) }),
    key: segmentKey("hmac-sha-1-96"),
    ...IDS,
  });
  assert.ok(!signed.ok && signed.error.code === "tcpAoWithTcpMd5");
});

test("a packet that grows past 65535 octets is refused", () => {
  const packet = ipv4({ data: new Uint8Array(65535 - 40) });
  const signed = signSegment({ crypto, packet, key: segmentKey("hmac-sha-1-96"), ...IDS });
  assert.ok(!signed.ok && signed.error.code === "packetTooLong");
});

test("verifying refuses another length, another SNE, another key, no option (RFC 5925 section 7.5, step 2)", () => {
  const key = segmentKey("hmac-sha-1-96");
  const packet = unwrap(signSegment({ crypto, packet: ipv4(), key, ...IDS }));
  const code = (more: Partial<Parameters<typeof verifySegment>[0]>) => {
    const verified = verifySegment({ crypto, packet, key, sne: IDS.sne, ...more });
    return verified.ok ? "accepted" : verified.error.code;
  };
  assert.equal(code({}), "accepted");
  assert.equal(code({ key: segmentKey("hmac-sha-256-128") }), "tcpAoLengthMismatch");
  assert.equal(code({ sne: 4 }), "macMismatch");
  assert.equal(code({ key: { ...key, trafficKey: new Uint8Array(20) } }), "macMismatch");
  assert.equal(code({ key: segmentKey("aes-128-cmac-96") }), "macMismatch");
  assert.equal(code({ packet: ipv4() }), "noTcpAo");
});

test("without option coverage other options may change, TCP-AO's own fields may not (RFC 5925 section 5.1)", () => {
  const key = segmentKey("aes-128-cmac-96", false);
  const packet = unwrap(
    signSegment({ crypto, packet: ipv4({ options: hex("0101080a0000000100000002") }), key, ...IDS }),
  );
  const flip = (offset: number) => {
    const copy = packet.slice();
    copy[offset] = (copy[offset] ?? 0) ^ 1;
    return verifySegment({ crypto, packet: copy, key, sne: IDS.sne }).ok;
  };
  const { tcpAo } = unwrap(parseSegment(packet));
  const timestamp = 20 + 20 + 4;
  assert.ok(flip(timestamp));
  assert.ok(!flip(20 + (tcpAo?.offset ?? 0) + 2));
  assert.ok(!flip(20 + (tcpAo?.offset ?? 0) + 3));
  assert.ok(!flip(packet.length - 1));
});

test("IDs outside 0-255 and traffic keys of a wrong length are the caller's mistake", () => {
  const packet = ipv4();
  const key = segmentKey("hmac-sha-1-96");
  assert.throws(() => signSegment({ crypto, packet, key, ...IDS, keyId: 256 }), TcpAoUsageError);
  assert.throws(() => signSegment({ crypto, packet, key, ...IDS, rNextKeyId: -1 }), TcpAoUsageError);
  assert.throws(() => signSegment({ crypto, packet, key: { ...key, trafficKey: hex("00") }, ...IDS }), TcpAoUsageError);
});

const octets = (maxLength: number) => fc.uint8Array({ maxLength });
const segments = fc
  .record({
    isIpv6: fc.boolean(),
    sourceAddress: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    destinationAddress: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    sourcePort: fc.integer({ min: 0, max: 0xffff }),
    destinationPort: fc.integer({ min: 0, max: 0xffff }),
    sequenceNumber: fc.integer({ min: 0, max: 0xffffffff }),
    acknowledgmentNumber: fc.integer({ min: 0, max: 0xffffffff }),
    flags: fc.record({ syn: fc.boolean(), ack: fc.boolean(), psh: fc.boolean(), fin: fc.boolean(), rst: fc.boolean() }),
    options: fc.constantFrom("", "01010101", "020405b4", "0101080a0000000100000002", "00000000").map(hex),
    data: octets(64),
  })
  .map(({ isIpv6, sourceAddress, destinationAddress, ...rest }) =>
    buildSegment({
      ...rest,
      sourceAddress: isIpv6 ? sourceAddress : sourceAddress.slice(0, 4),
      destinationAddress: isIpv6 ? destinationAddress : destinationAddress.slice(0, 4),
    }),
  );
const keys = fc
  .record({
    algorithm: fc.constantFrom(...algorithms),
    coversTcpOptions: fc.boolean(),
    fill: fc.integer({ min: 0, max: 255 }),
  })
  .map(({ algorithm, coversTcpOptions, fill }) => {
    const key = segmentKey(algorithm, coversTcpOptions);
    return { ...key, trafficKey: key.trafficKey.map(() => fill) };
  });
const ids = fc.record({
  keyId: fc.integer({ min: 0, max: 255 }),
  rNextKeyId: fc.integer({ min: 0, max: 255 }),
  sne: fc.integer({ min: 0, max: 0xffffffff }),
});

/** Why a well-formed packet cannot get a TCP-AO option. */
const UNSIGNABLE: readonly SegmentRefusalCode[] = ["optionSpaceExhausted", "packetTooLong", "tcpAoWithTcpMd5"];

test("any octets give a segment or a typed refusal, and never an exception", () => {
  const nearly = fc
    .tuple(segments, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }))
    .map(([packet, edits]) => {
      for (const [at, octet] of edits) packet[at % packet.length] = octet;
      if ((packet[0] ?? 0) >>> 4 === 4 && packet.length >= 20) fillChecksum(packet.subarray(0, 20), 10);
      return packet;
    });
  fc.assert(
    fc.property(fc.oneof(octets(120), nearly), keys, (packet, key) => {
      const parsed = parseSegment(packet);
      if (!parsed.ok) assert.match(parsed.error.section, /^RFC \d+ section /);
      const verified = verifySegment({ crypto, packet, key, sne: 0 });
      assert.ok(!verified.ok);
      const signed = signSegment({ crypto, packet, key, ...IDS });
      const canBeSigned = signed.ok || UNSIGNABLE.includes(signed.error.code);
      assert.equal(canBeSigned, parsed.ok);
    }),
    { numRuns: 3000 },
  );
});

test("what is signed verifies, with every algorithm, ID and SNE", () => {
  fc.assert(
    fc.property(segments, keys, ids, (packet, key, { keyId, rNextKeyId, sne }) => {
      const signed = unwrap(signSegment({ crypto, packet, key, keyId, rNextKeyId, sne }));
      const segment = unwrap(verifySegment({ crypto, packet: signed, key, sne }));
      assert.deepEqual([segment.tcpAo.keyId, segment.tcpAo.rNextKeyId], [keyId, rNextKeyId]);
      assert.ok(hasValidTcpChecksum(segment));
    }),
    { numRuns: 500 },
  );
});

test("any flipped bit of what the MAC covers is rejected (RFC 5925 section 5.1)", () => {
  fc.assert(
    fc.property(segments, keys, ids, fc.nat(), (packet, key, { keyId, rNextKeyId, sne }, bit) => {
      const signed = unwrap(
        signSegment({ crypto, packet, key: { ...key, coversTcpOptions: true }, keyId, rNextKeyId, sne }),
      );
      const { tcpOffset, ipVersion } = unwrap(parseSegment(signed));
      // Addresses, then the TCP segment without its checksum field
      const addresses = ipVersion === 4 ? range(12, 20) : range(8, 40);
      const covered = [...addresses, ...range(tcpOffset, tcpOffset + 16), ...range(tcpOffset + 18, signed.length)];
      const at = covered[(bit >>> 3) % covered.length] ?? 0;
      signed[at] = (signed[at] ?? 0) ^ (1 << (bit & 7));
      if (ipVersion === 4) fillChecksum(signed.subarray(0, 20), 10);
      assert.ok(!verifySegment({ crypto, packet: signed, key: { ...key, coversTcpOptions: true }, sne }).ok);
    }),
    { numRuns: 2000 },
  );
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
