import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { MalformedMessage, PeerIncompatible, PeerMisbehaved } from "../../src/bytes/errors.ts";
import { hex } from "../../src/bytes/hex.ts";
import { checkPayloads, checkProtection } from "../../src/codec/checkPayloads.ts";
import {
  decodeMessage,
  decodePayloads,
  encodeEncryptedPrefix,
  encodeMessage,
  encodePayloads,
  refuseUnknownCritical,
} from "../../src/codec/codec.ts";
import { describeMessage } from "../../src/codec/describe.ts";
import { exchangeRuleFor, responseRuleFor } from "../../src/codec/exchangeRules.ts";
import type { Message } from "../../src/codec/message.ts";
import { ikeHeader, payload } from "./arbitraries.ts";

// A few thousand cases in each run, 1,000,000 in all with KARP_LONG=1; KARP_SEED repeats a run.
const isLong = process.env["KARP_LONG"] === "1";
const runs = {
  octets: isLong ? 300_000 : 1_500,
  damaged: isLong ? 500_000 : 2_500,
  roundTrip: isLong ? 100_000 : 500,
  inner: isLong ? 100_000 : 500,
};

function parameters(t: TestContext, numRuns: number): { readonly numRuns: number; readonly seed: number } {
  const seed = Number(process.env["KARP_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`seed ${seed}, ${numRuns} runs`);
  return { numRuns, seed };
}

const message = fc.tuple(ikeHeader, fc.array(payload, { minLength: 1, maxLength: 8 }));

test("any octets give a message or a typed refusal", (t) => {
  // Pure noise rarely gets behind the header: most cases are chains of payloads with noise inside.
  const plausibleHeader = fc.tuple(ikeHeader, fc.integer({ min: 30, max: 56 }));
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.tuple(plausibleHeader, fc.uint8Array({ maxLength: 120 })).map(([[header, next], body]) => {
      const octets = encodeEncryptedPrefix(header, next, 0).slice(0, 28);
      octets[16] = next;
      return withLength(Uint8Array.of(...octets, ...body));
    }),
    fc.tuple(plausibleHeader, fc.uint8Array({ maxLength: 120 })).map(([[header, next], body]) => {
      const octets = encodeEncryptedPrefix(header, 0, 0);
      octets[16] = next;
      new DataView(octets.buffer).setUint16(30, 4 + body.length);
      return withLength(Uint8Array.of(...octets, ...body));
    }),
  );
  const tally = new Map<string, number>();
  fc.assert(
    fc.property(noise, (octets) => judge(octets, tally)),
    parameters(t, runs.octets),
  );
  requireVariety(t, tally);
});

test("a damaged message gives a message or a typed refusal", (t) => {
  const damage = fc.record({
    flips: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
    cut: fc.option(fc.nat(), { freq: 1 }),
    extra: fc.uint8Array({ maxLength: 3 }),
    repairsLength: fc.nat(9).map((n) => n > 0),
  });
  const tally = new Map<string, number>();
  fc.assert(
    fc.property(message, damage, ([header, payloads], { flips, cut, extra, repairsLength }) => {
      const whole = encodeMessage(header, payloads);
      const kept = cut === null ? whole : whole.slice(0, cut % whole.length);
      const octets = Uint8Array.of(...kept, ...extra);
      for (const [at, value] of flips) {
        if (octets.length > 0) {
          octets[at % octets.length] = value;
        }
      }
      judge(repairsLength ? withLength(octets) : octets, tally);
    }),
    parameters(t, runs.damaged),
  );
  requireVariety(t, tally);
});

test("decode(encode(x)) = x and encode(decode(octets)) = octets", (t) => {
  fc.assert(
    fc.property(message, ([header, payloads]) => {
      const octets = encodeMessage(header, payloads);
      const decoded = decodeMessage(octets);
      assert.deepEqual(decoded, { header, payloads });
      assert.equal(hex(encodeMessage(decoded.header, decoded.payloads)), hex(octets));
    }),
    parameters(t, runs.roundTrip),
  );
});

test("the same inside of SK, and SK itself", (t) => {
  const body = fc.uint8Array({ maxLength: 60 });
  fc.assert(
    fc.property(
      ikeHeader,
      fc.array(payload, { maxLength: 8 }),
      body,
      fc.nat(1000),
      (header, payloads, sealed, base) => {
        const inside = encodePayloads(payloads);
        assert.deepEqual(decodePayloads(inside.firstPayload, inside.bytes, base), payloads);

        const prefix = encodeEncryptedPrefix(header, inside.firstPayload, sealed.length);
        const decoded = decodeMessage(Uint8Array.of(...prefix, ...sealed));
        const encrypted = { firstPayload: inside.firstPayload, associatedData: prefix, body: sealed };
        assert.deepEqual(decoded, { header, payloads: [], encrypted });
      },
    ),
    parameters(t, runs.inner),
  );
});

test("the largest datagrams are judged in bounded time", (t) => {
  const size = 65507 - 28; // what UDP over IPv4 carries
  const worst: Readonly<Record<string, readonly [type: number, body: Uint8Array]>> = {
    "one-octet SPIs": [42, Uint8Array.of(201, 1, ...uint16(size - 8), ...new Uint8Array(size - 8))],
    selectors: [44, Uint8Array.of(255, 0, 0, 0, ...repeat([9, 0, 0, 4], (size - 8) / 4))],
    transforms: [33, Uint8Array.of(...proposal(2, 255, 8), ...repeat([3, 0, 0, 8, 1, 0, 0, 20], (size - 12) / 8))],
    attributes: [
      33,
      Uint8Array.of(...proposal(0, 1, size - 4), 0, 0, ...uint16(size - 12), 1, 0, 0, 20, ...new Uint8Array(size - 20)),
    ],
    "a long name": [35, Uint8Array.of(2, 0, 0, 0, ...repeat([0x61], size - 8))],
  };
  const chain = withLength(Uint8Array.of(...header(43), ...repeat([43, 0, 0, 4], size / 4)));
  const messages = [
    ["empty payloads", chain],
    ...Object.entries(worst).map(([name, [type, body]]) => [name, single(type, body)]),
  ] as const;
  for (const [name, octets] of messages as readonly (readonly [string, Uint8Array])[]) {
    const start = performance.now();
    judge(octets);
    const milliseconds = performance.now() - start;
    t.diagnostic(`${name}: ${milliseconds.toFixed(2)} ms`);
    assert.ok(milliseconds < 250, `${name} took ${milliseconds} ms`);
  }
});

/** What an engine does with a datagram before it trusts it: nothing but the typed faults may come out. */
function judge(datagram: Uint8Array, tally?: Map<string, number>): void {
  const count = (outcome: string) => tally?.set(outcome, (tally.get(outcome) ?? 0) + 1);
  const before = datagram.slice();
  try {
    judgeMessage(decodeMessage(datagram));
    count("accepted");
  } catch (error) {
    if (error instanceof MalformedMessage) {
      count(error.section);
      assert.ok(error.offset >= 0 && error.offset <= datagram.length, error.message);
      assert.equal(error.notifyType, 7);
    } else if (!(error instanceof PeerIncompatible)) {
      throw error;
    }
  }
  assert.deepEqual(datagram, before, "decoding changed the datagram");
}

function judgeMessage(message: Message): void {
  assert.ok(describeMessage(message, message.payloads).length > 0);
  const rule = exchangeRuleFor(message.header.exchangeType, message.payloads);
  for (const part of rule === undefined ? [] : [rule.request, responseRuleFor(rule, message.payloads)]) {
    for (const check of [() => checkPayloads(part, message.payloads), () => checkProtection(part, message)]) {
      try {
        check();
      } catch (error) {
        assert.ok(error instanceof PeerMisbehaved, String(error));
      }
    }
  }
  refuseUnknownCritical(message.payloads);
  // What was accepted means the same when we send it; an Encrypted Fragment is not ours to send.
  if (!message.payloads.some((payload) => payload.kind === "Unknown" && payload.payloadType === 53)) {
    const again = encodePayloads(message.payloads);
    assert.deepEqual(decodePayloads(again.firstPayload, again.bytes), message.payloads);
  }
}

/** A fuzz test that only ever sees one outcome tests nothing. */
function requireVariety(t: TestContext, tally: ReadonlyMap<string, number>): void {
  t.diagnostic([...tally].map(([outcome, count]) => `${outcome}: ${count}`).join(", "));
  assert.ok((tally.get("accepted") ?? 0) > 50 && tally.size >= 8, "too few kinds of outcomes");
}

function withLength(octets: Uint8Array): Uint8Array {
  const copy = octets.slice();
  if (copy.length >= 28) {
    new DataView(copy.buffer).setUint32(24, copy.length);
  }
  return copy;
}

function header(next: number): Uint8Array {
  return Uint8Array.of(...repeat([1], 16), next, 0x20, 37, 8, 0, 0, 0, 0, 0, 0, 0, 0);
}

function single(type: number, body: Uint8Array): Uint8Array {
  return withLength(Uint8Array.of(...header(type), 0, 0, ...uint16(4 + body.length), ...body));
}

function proposal(last: number, transforms: number, length: number): readonly number[] {
  return [last, 0, ...uint16(length), 1, 1, 0, transforms];
}

function repeat(octets: readonly number[], times: number): readonly number[] {
  return Array.from({ length: Math.floor(times) }, () => octets).flat();
}

function uint16(value: number): readonly [number, number] {
  return [value >> 8, value & 0xff];
}
