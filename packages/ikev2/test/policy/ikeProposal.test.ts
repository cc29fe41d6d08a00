import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Proposal, Transform, TransformAttribute } from "../../src/codec/message.ts";
import {
  type AcceptableSuite,
  buildIkeProposals,
  checkIkeAnswer,
  chooseIkeProposal,
} from "../../src/policy/ikeProposal.ts";

const everything: AcceptableSuite = {
  encryption: [
    { id: 20, keyLengthBits: 256 },
    { id: 28 },
    { id: 20, keyLengthBits: 128 },
    { id: 12, keyLengthBits: 128 },
  ],
  integrity: [12],
  prf: [5, 6, 7],
  keyExchange: [31, 19, 20, 14],
};
const gcm128: AcceptableSuite = {
  encryption: [{ id: 20, keyLengthBits: 128 }],
  integrity: [],
  prf: [5],
  keyExchange: [31],
};

const keyLength = (value: number): TransformAttribute => ({ kind: "TV", type: 14, value });
const encr = (id: number, ...attributes: readonly TransformAttribute[]): Transform => ({ type: 1, id, attributes });
const plain = (type: number, id: number): Transform => ({ type, id, attributes: [] });
const prf256 = plain(2, 5);
const x25519 = plain(4, 31);

function proposal(...transforms: readonly Transform[]): Proposal {
  return { number: 1, protocolId: 1, spi: new Uint8Array(0), transforms };
}

/** Text of the suite that `suites` choose from the offer, or undefined. */
function chosen(offered: readonly Proposal[], suites: readonly AcceptableSuite[] = [everything]): string | undefined {
  const result = chooseIkeProposal(offered, suites);
  return result.ok ? result.value.suite.text : undefined;
}

test("AEADs are offered apart from other ciphers, without INTEG (RFC 7296 section 3.3)", () => {
  const offered = buildIkeProposals([everything]);
  assert.deepEqual(
    offered.map(({ number, protocolId, spi }) => [number, protocolId, spi.length]),
    [
      [1, 1, 0],
      [2, 1, 0],
    ],
  );
  const types = offered.map(({ transforms }) => transforms.map(({ type, id }) => `${type}:${id}`).join(" "));
  assert.deepEqual(types, [
    "1:20 1:28 1:20 2:5 2:6 2:7 4:31 4:19 4:20 4:14",
    "1:12 3:12 2:5 2:6 2:7 4:31 4:19 4:20 4:14",
  ]);
});

test("AES has a Key Length attribute, ChaCha20-Poly1305 none (RFC 7296 section 3.3.5, RFC 7634 section 4)", () => {
  const attributes = buildIkeProposals([everything]).flatMap(({ transforms }) =>
    transforms.filter(({ type }) => type === 1).map(({ attributes: [only] }) => only),
  );
  assert.deepEqual(attributes, [keyLength(256), undefined, keyLength(128), keyLength(128)]);
});

test("a rekey offers and chooses with SPIs of 8 octets (RFC 7296 section 3.3.1)", () => {
  const offered = buildIkeProposals([gcm128], 0x0102030405060708n);
  assert.deepEqual(offered[0]?.spi, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  const choice = chooseIkeProposal(offered, [gcm128], { spi: 0x1112131415161718n });
  assert.ok(choice.ok);
  assert.equal(choice.value.peerSpi, 0x0102030405060708n);
  const check = checkIkeAnswer(offered, { kind: "SA", proposals: [choice.value.answer] });
  assert.ok(check.ok);
  assert.equal(check.value.peerSpi, 0x1112131415161718n);
});

test("SPI sizes are those of the exchange, and a rekey's SPI is not zero (RFC 7296 sections 3.1 and 3.3.1)", () => {
  const withSpi = buildIkeProposals([gcm128], 1n);
  const without = buildIkeProposals([gcm128]);
  assert.equal(chooseIkeProposal(withSpi, [gcm128]).ok, false);
  assert.equal(chooseIkeProposal(without, [gcm128], { spi: 1n }).ok, false);
  assert.equal(chooseIkeProposal(buildIkeProposals([gcm128], 0n), [gcm128], { spi: 1n }).ok, false);
  const zero = withSpi.map((offer) => ({ ...offer, spi: new Uint8Array(8) }));
  assert.equal(checkIkeAnswer(withSpi, { kind: "SA", proposals: zero }).ok, false);
});

test("the responder's own order decides", () => {
  const offered = buildIkeProposals([{ ...everything, encryption: everything.encryption.toReversed() }]);
  assert.equal(chosen(offered), "AES-GCM-16-256, PRF-HMAC-SHA2-256, X25519");
  assert.equal(chosen(offered, [gcm128, everything]), "AES-GCM-16-128, PRF-HMAC-SHA2-256, X25519");
});

test("the method of the KE payload is preferred where it is accepted, which saves INVALID_KE_PAYLOAD", () => {
  const offered = buildIkeProposals([everything]);
  const withKe = (sentKeyExchange: number): number | undefined => {
    const choice = chooseIkeProposal(offered, [everything], { sentKeyExchange });
    return choice.ok ? choice.value.suite.transforms.keyExchange : undefined;
  };
  assert.deepEqual([31, 20, 14, 15].map(withKe), [31, 20, 14, 31]);
});

test("an unknown transform type makes the whole proposal unacceptable (RFC 7296 section 3.3.6)", () => {
  const known = [encr(20, keyLength(128)), prf256, x25519];
  assert.equal(chosen([proposal(...known)]), "AES-GCM-16-128, PRF-HMAC-SHA2-256, X25519");
  for (const type of [0, 5, 6, 13, 200, 241]) assert.equal(chosen([proposal(...known, plain(type, 0))]), undefined);
  const second = { ...proposal(encr(28), prf256, x25519), number: 2 };
  assert.equal(chosen([proposal(...known, plain(200, 0)), second]), "CHACHA20-POLY1305, PRF-HMAC-SHA2-256, X25519");
});

test("an unknown transform id only makes that transform unacceptable (RFC 7296 section 3.3.6)", () => {
  const offer = proposal(encr(9999), encr(20, keyLength(128)), plain(2, 9999), prf256, plain(4, 9999), x25519);
  assert.equal(chosen([offer]), "AES-GCM-16-128, PRF-HMAC-SHA2-256, X25519");
});

test("an unknown attribute only makes its transform unacceptable (RFC 7296 section 3.3.6)", () => {
  const strange: TransformAttribute = { kind: "TLV", type: 20000, data: new Uint8Array(3) };
  const rest = [prf256, x25519];
  assert.equal(chosen([proposal(encr(20, keyLength(256), strange), ...rest)]), undefined);
  assert.equal(
    chosen([proposal(encr(20, strange), encr(28), ...rest)]),
    "CHACHA20-POLY1305, PRF-HMAC-SHA2-256, X25519",
  );
  const prf = { ...prf256, attributes: [strange] };
  assert.equal(chosen([proposal(encr(28), prf, x25519)]), undefined);
});

test("Key Length is there where it must be, once, as TV, and nowhere else (RFC 7296 section 3.3.5)", () => {
  const rest = [prf256, x25519];
  const asTlv: TransformAttribute = { kind: "TLV", type: 14, data: Uint8Array.of(0, 128) };
  for (const transform of [
    encr(20),
    encr(20, keyLength(192)),
    encr(20, keyLength(128), keyLength(128)),
    encr(20, asTlv),
    encr(28, keyLength(256)),
  ]) {
    assert.equal(chosen([proposal(transform, ...rest)]), undefined);
  }
});

test("a proposal without a mandatory transform type is unacceptable (RFC 7296 section 3.3.3)", () => {
  const gcm = encr(20, keyLength(128));
  assert.equal(chosen([proposal(prf256, x25519)]), undefined);
  assert.equal(chosen([proposal(gcm, x25519)]), undefined);
  assert.equal(chosen([proposal(gcm, prf256)]), undefined);
  assert.equal(chosen([proposal(encr(12, keyLength(128)), prf256, x25519)]), undefined);
});

test("an AEAD goes with INTEG NONE or no INTEG, never with an algorithm (RFC 7296 section 3.3, RFC 5282 section 8)", () => {
  const gcm = encr(20, keyLength(128));
  const cbc = encr(12, keyLength(128));
  assert.ok(chosen([proposal(gcm, plain(3, 0), prf256, x25519)]));
  assert.equal(chosen([proposal(gcm, plain(3, 12), prf256, x25519)]), undefined);
  assert.equal(chosen([proposal(gcm, cbc, plain(3, 12), prf256, x25519)])?.slice(0, 11), "AES-CBC-128");
  const result = chooseIkeProposal([proposal(gcm, plain(3, 0), prf256, x25519)], [everything]);
  assert.ok(result.ok);
  assert.deepEqual(result.value.answer.transforms, [gcm, prf256, plain(3, 0), x25519]);
});

test("another protocol is passed over", () => {
  const esp = { ...proposal(encr(20, keyLength(128)), prf256, x25519), protocolId: 3 };
  assert.equal(chosen([esp]), undefined);
});

test("SHA-1 is never chosen, even when a peer and our own list have it", () => {
  const offer = proposal(encr(20, keyLength(128)), plain(2, 2), x25519);
  assert.equal(chosen([offer], [{ ...gcm128, prf: [2] }]), undefined);
});

const offered = buildIkeProposals([everything]);
const good = proposal(encr(20, keyLength(128)), plain(2, 6), plain(4, 19));
const badAnswers: readonly (readonly [string, readonly Proposal[]])[] = [
  ["no proposal", []],
  ["two proposals", [good, good]],
  ["a number that was not offered", [{ ...good, number: 3 }]],
  ["another protocol", [{ ...good, protocolId: 3 }]],
  ["an SPI", [{ ...good, spi: new Uint8Array(8).fill(1) }]],
  ["a key length that was not offered", [proposal(encr(20, keyLength(192)), plain(2, 6), plain(4, 19))]],
  ["no key length", [proposal(encr(20), plain(2, 6), plain(4, 19))]],
  ["an attribute more", [proposal(encr(20, keyLength(128), keyLength(128)), plain(2, 6), plain(4, 19))]],
  ["two of a type", [proposal(encr(20, keyLength(128)), plain(2, 5), plain(2, 6), plain(4, 19))]],
  ["a type missing", [proposal(encr(20, keyLength(128)), plain(2, 6))]],
  ["a type that was not offered", [{ ...good, transforms: [...good.transforms, plain(5, 0)] }]],
  ["INTEG for an AEAD", [{ ...good, transforms: [...good.transforms, plain(3, 12)] }]],
  ["KE NONE", [proposal(encr(20, keyLength(128)), plain(2, 6), plain(4, 0))]],
];
for (const [what, proposals] of badAnswers) {
  test(`the initiator refuses an answer with ${what} (RFC 7296 section 3.3.6)`, () => {
    const result = checkIkeAnswer(offered, { kind: "SA", proposals });
    assert.equal(result.ok, false);
    assert.equal(result.error.reason, "invalidAnswer");
  });
}

test("the initiator takes a right answer, also with INTEG NONE for an AEAD", () => {
  for (const transforms of [good.transforms, [...good.transforms, plain(3, 0)]]) {
    const result = checkIkeAnswer(offered, { kind: "SA", proposals: [{ ...good, transforms }] });
    assert.ok(result.ok);
    assert.equal(result.value.suite.text, "AES-GCM-16-128, PRF-HMAC-SHA2-384, ECP-256");
  }
});

const anySuite = fc.record({
  encryption: fc.subarray([...everything.encryption], { minLength: 1 }),
  integrity: fc.subarray([12, 14]),
  prf: fc.subarray([5, 6, 7], { minLength: 1 }),
  keyExchange: fc.subarray([31, 19, 20, 14], { minLength: 1 }),
});

test("property: what the responder chooses, the initiator accepts, as the same suite, within both policies", () => {
  const anyPolicy = fc.array(anySuite, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(anyPolicy, anyPolicy, fc.constantFrom(31, 19, 20, 14), (initiator, responder, sentKeyExchange) => {
      const offer = buildIkeProposals(initiator);
      const choice = chooseIkeProposal(offer, responder, { sentKeyExchange });
      if (!choice.ok) {
        assert.equal(
          initiator.some((a) => responder.some((b) => haveCommon(a, b))),
          false,
        );
        return;
      }
      const check = checkIkeAnswer(offer, { kind: "SA", proposals: [choice.value.answer] });
      assert.ok(check.ok);
      assert.deepEqual(check.value.suite, choice.value.suite);
      const { transforms } = choice.value.suite;
      for (const policy of [initiator, responder]) {
        assert.ok(policy.some((suite) => suite.prf.includes(transforms.prf)));
        assert.ok(policy.some((suite) => suite.keyExchange.includes(transforms.keyExchange)));
      }
    }),
  );
});

/** By enumeration, apart from the code under test: is there one suite that both accept? */
function haveCommon(a: AcceptableSuite, b: AcceptableSuite): boolean {
  const shared = a.encryption.filter((one) => b.encryption.includes(one));
  const isUsable = shared.some(({ id }) => id !== 12 || (a.integrity.includes(12) && b.integrity.includes(12)));
  return isUsable && a.prf.some((id) => b.prf.includes(id)) && a.keyExchange.some((id) => b.keyExchange.includes(id));
}

const anyTransform = fc.record({
  type: fc.integer({ min: 0, max: 6 }),
  id: fc.constantFrom(0, 5, 12, 20, 28, 31, 999),
  attributes: fc.array(
    fc.record({ kind: fc.constant("TV" as const), type: fc.constantFrom(14, 18), value: fc.constantFrom(128, 256, 3) }),
    { maxLength: 2 },
  ),
});
const anyProposal = fc.record({
  number: fc.nat({ max: 3 }),
  protocolId: fc.constantFrom(1, 3, 201),
  spi: fc.uint8Array({ maxLength: 8 }),
  transforms: fc.array(anyTransform, { maxLength: 8 }),
});

test("property: any offer and any answer give a result, never an exception; a choice has one transform per type", () => {
  fc.assert(
    fc.property(fc.array(anyProposal, { maxLength: 4 }), (proposals) => {
      const choice = chooseIkeProposal(proposals, [everything]);
      if (choice.ok) {
        const types = choice.value.answer.transforms.map(({ type }) => type);
        assert.equal(new Set(types).size, types.length);
      }
      checkIkeAnswer(offered, { kind: "SA", proposals });
      checkIkeAnswer(proposals, { kind: "SA", proposals: proposals.slice(0, 1) });
    }),
    { numRuns: 500 },
  );
});

test("transforms that are strange or come twice do not hide those that we accept (RFC 7296 section 3.3.6)", () => {
  const strangers = Array.from({ length: 60 }, (_, n) => [
    plain(4, 1000 + n),
    encr(20, keyLength(n)),
    plain(3, 2),
  ]).flat();
  const twice = [encr(20, keyLength(128)), encr(20, keyLength(128)), prf256, prf256, x25519, x25519];
  const wellKnown = proposal(...strangers, ...twice, plain(3, 0));
  assert.equal(chosen([wellKnown], [gcm128]), "AES-GCM-16-128, PRF-HMAC-SHA2-256, X25519");
  // An INTEG that we do not accept is not the same as none
  assert.equal(chosen([proposal(...strangers, ...twice)], [gcm128]), undefined);
  assert.equal(chosen([proposal(...twice)], [gcm128]), "AES-GCM-16-128, PRF-HMAC-SHA2-256, X25519");
  // Attributes that are not known make another transform of it
  const unknown: TransformAttribute = { kind: "TV", type: 99, value: 128 };
  assert.equal(chosen([proposal(encr(20, unknown), prf256, x25519)], [gcm128]), undefined);
  assert.equal(chosen([proposal(encr(20, keyLength(128), unknown), prf256, x25519)], [gcm128]), undefined);
});

test("choosing costs what our own lists cost, however many transforms come (RFC 7296 section 2.6)", () => {
  const strangers = Array.from({ length: 252 }, (_, n) => plain(4, 1000 + n));
  const offered = Array.from({ length: 32 }, () =>
    proposal(encr(20, keyLength(128)), prf256, plain(3, 2), ...strangers),
  );
  let reads = 0;
  const watched = offered.map((each) => ({
    ...each,
    transforms: new Proxy(each.transforms, {
      get(target, name) {
        if (typeof name === "string" && /^\d+$/.test(name)) reads++;
        return Reflect.get(target, name);
      },
    }),
  }));
  assert.equal(chosen(watched), undefined);
  assert.ok(reads <= 2 * 32 * 255, `${reads} looks at ${32 * 255} transforms`);
});
