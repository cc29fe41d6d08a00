import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ExchangeType, encodeMessage, type IkeHeader } from "../../src/index.ts";
import { payload } from "../codec/arbitraries.ts";
import { type Packet, Pair, type Router } from "./pair.ts";
import { addresses } from "./peers.ts";

/** KARP_LONG=1 makes it a million cases, KARP_LONG=n n times as many; the seed is printed, KARP_SEED=s repeats a run. */
const long = Number(process.env["KARP_LONG"] ?? 0);
const factor = long > 1 ? long : long === 1 ? 200 : 1;
const seed = Number(process.env["KARP_SEED"] ?? Date.now() & 0x7fff_ffff);
const runs = (short: number): fc.Parameters<unknown> => ({ seed, numRuns: short * factor });

/** What nobody without the keys may change: everything but counters, logs and what only answers. */
function authenticatedState(router: Router): string {
  const { endpoint, events, asked } = router;
  return JSON.stringify([endpoint.ikeSas().filter((sa) => sa.state !== "halfOpen"), events, asked]);
}

/** A pair in the middle of something, and the genuine messages that were sent so far or are on the wire. */
type Scene = () => { readonly pair: Pair; readonly known: readonly Packet[] };

const scenes: Readonly<Record<string, Scene>> = {
  "nothing begun": () => {
    const other = Pair.established({ seed: "other" });
    return { pair: new Pair(), known: other.sent };
  },
  "IKE_SA_INIT request sent": () => started(0),
  "IKE_SA_INIT answered": () => started(1),
  "IKE_AUTH request sent": () => started(2),
  "IKE_AUTH answered": () => started(3),
  established: () => {
    const pair = Pair.established();
    return { pair, known: [...pair.sent] };
  },
  "requests under way at both ends": () => {
    const pair = Pair.established();
    pair.createMkt("a", 2, { rekeys: 1 });
    pair.input("b", { kind: "rekeyIkeSa", peer: "a" });
    return { pair, known: [...pair.sent] };
  },
  "an answer is held": () => {
    const pair = Pair.established();
    pair.b.commits = false;
    pair.createMkt("a", 2);
    pair.step();
    return { pair, known: [...pair.sent] };
  },
};

function started(steps: number): ReturnType<Scene> {
  const pair = new Pair();
  pair.createMkt("a", 1);
  for (let count = 0; count < steps; count++) pair.step();
  return { pair, known: [...pair.sent] };
}

function feed(pair: Pair, end: "a" | "b", data: Uint8Array): void {
  const other = end === "a" ? "b" : "a";
  pair.input(end, { kind: "datagram", local: addresses[end], remote: addresses[other], data });
}

const damage = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("flip" as const), at: fc.nat(), bits: fc.integer({ min: 1, max: 255 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cut" as const), at: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("insert" as const),
      at: fc.nat(),
      octets: fc.uint8Array({ maxLength: 8 }),
    }),
  },
);
type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

function apply(data: Uint8Array, change: Damage): Uint8Array {
  const at = change.at % (data.length + 1);
  switch (change.kind) {
    case "flip":
      return data.length === 0 ? data : data.with(at % data.length, (data[at % data.length] ?? 0) ^ change.bits);
    case "cut":
      return data.slice(0, at);
    case "insert":
      return Uint8Array.from([...data.slice(0, at), ...change.octets, ...data.slice(at)]);
  }
}

test(`properties run with seed ${seed}`, () => {});

for (const [name, scene] of Object.entries(scenes)) {
  test(`${name}: any octets from a peer's address change no authenticated state, and nothing throws`, () => {
    const { pair } = scene();
    const before = [authenticatedState(pair.a), authenticatedState(pair.b)];
    fc.assert(
      fc.property(fc.constantFrom("a" as const, "b" as const), fc.uint8Array({ maxLength: 200 }), (end, data) => {
        feed(pair, end, data);
        assert.deepEqual([authenticatedState(pair.a), authenticatedState(pair.b)], before);
      }),
      runs(300),
    );
  });

  test(`${name}: damaged genuine messages change no authenticated state, and nothing throws`, () => {
    const { known } = scene();
    let { pair } = scene();
    let count = 0;
    fc.assert(
      fc.property(
        fc.constantFrom("a" as const, "b" as const),
        fc.nat(),
        fc.array(damage, { minLength: 1, maxLength: 3 }),
        (end, index, changes) => {
          // IKE_SA_INIT is not protected: what it begins is half-open, and is swept away now and then
          if (++count % 50 === 0) pair = scene().pair;
          const packet = known[index % known.length];
          assert.ok(packet);
          const data = changes.reduce(apply, packet.data);
          const isUnprotected = data[18] === ExchangeType.IKE_SA_INIT;
          const isGenuine = known.some((each) => Buffer.compare(each.data, data) === 0);
          const before = [authenticatedState(pair.a), authenticatedState(pair.b)];
          feed(pair, end, data);
          if (isUnprotected || isGenuine) return;
          assert.deepEqual([authenticatedState(pair.a), authenticatedState(pair.b)], before);
        },
      ),
      runs(300),
    );
  });
}

const saInitHeader: fc.Arbitrary<IkeHeader> = fc.record({
  initiatorSpi: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
  responderSpi: fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
  majorVersion: fc.constant(2),
  minorVersion: fc.nat(15),
  exchangeType: fc.constantFrom(34, 35, 36, 37, 99),
  isInitiator: fc.boolean(),
  isResponse: fc.boolean(),
  hasHigherVersion: fc.boolean(),
  messageId: fc.oneof(fc.constant(0), fc.nat()),
});

test("well-formed cleartext messages of any payloads: bounded state, no events, nothing throws", () => {
  const pair = new Pair({ settings: { halfOpenLimit: 5 } });
  pair.createMkt("a", 1);
  const spi = new DataView(pair.take().data.slice().buffer).getBigUint64(0);
  fc.assert(
    fc.property(
      fc.constantFrom("a" as const, "b" as const),
      saInitHeader,
      fc.boolean(),
      fc.array(payload, { maxLength: 6 }),
      (end, header, isOurs, payloads) => {
        feed(pair, end, encodeMessage(isOurs ? { ...header, initiatorSpi: spi } : header, payloads));
        pair.wire.length = 0;
        assert.deepEqual([pair.a.events, pair.b.events], [[], []]);
        assert.ok(pair.b.endpoint.ikeSas().length <= 5);
        assert.deepEqual(
          pair.a.states.filter((state) => state !== "halfOpen"),
          ["saInitSent"],
        );
      },
    ),
    runs(500),
  );
});

test("damaged payloads under the right keys: an answer or silence, never a throw; both ends agree in the end", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("a" as const, "b" as const),
      fc.constantFrom("create" as const, "rekey" as const, "inform" as const, "auth" as const),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 }),
      (liar, what, flips) => {
        const pair = what === "auth" ? new Pair() : Pair.established();
        pair.router(liar).crypto.tamper = (plaintext) => {
          // Not the Pad Length at the end
          for (const [index, bits] of flips) {
            const place = index % Math.max(1, plaintext.length - 1);
            if (plaintext.length > 1) plaintext[place] = (plaintext[place] ?? 0) ^ bits;
          }
        };
        if (what === "rekey") pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
        else if (what === "inform") pair.inform("a", [{ kind: "keyState", sendId: 1, state: 1, reason: "ok" }]);
        else pair.createMkt("a", 2);
        pair.elapse(200);
        // Keys that differ (a nonce was damaged) show as a timeout; after it the two ends can work with each other
        const made = (): boolean => pair.a.of("mktNegotiated").some(({ sendId }) => sendId >= 60);
        for (let count = 0; count < 3 && !made(); count++) {
          pair.createMkt("a", 60 + count);
          pair.elapse(200);
        }
        assert.ok(made(), JSON.stringify(pair.a.of("mktFailed").at(-1)));
      },
    ),
    runs(300),
  );
});
