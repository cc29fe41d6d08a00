/** Anything that the two callers ask for, over a network that loses, doubles and delays: everything ends, and ends well. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Packet, Pair } from "./pair.ts";
import { type End, otherEnd, peerOf } from "./peers.ts";

const long = Number(process.env["KARP_LONG"] ?? 0);
const numRuns = 300 * (long > 1 ? long : long === 1 ? 30 : 1);
const seed = Number(process.env["KARP_SEED"] ?? Date.now() & 0x7fff_ffff);

const end = fc.constantFrom<End>("a", "b");
const action = fc.oneof(
  fc.record({ kind: fc.constant("create" as const), end, rekeys: fc.boolean(), pfs: fc.boolean() }),
  fc.record({ kind: fc.constant("inform" as const), end, connect: fc.boolean() }),
  fc.record({
    kind: fc.constantFrom("rekey" as const, "close" as const, "abandon" as const, "reconfigure" as const),
    end,
  }),
  fc.record({ kind: fc.constant("pass" as const), seconds: fc.nat(40) }),
  fc.record({ kind: fc.constant("deliver" as const), count: fc.integer({ min: 1, max: 5 }) }),
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;
const fate = fc.constantFrom("arrives", "arrives", "arrives", "is lost", "comes twice", "comes late");

/** The fates of messages, over and over again. */
class Network {
  readonly #pair: Pair;
  readonly #fates: readonly string[];
  readonly #late = new Set<Packet>();
  #next = 0;

  constructor(pair: Pair, fates: readonly string[]) {
    this.#pair = pair;
    this.#fates = fates;
  }

  /** True when the message does not arrive now. */
  lose(packet: Packet): boolean {
    const { wire } = this.#pair;
    switch (this.#fates[this.#next++ % this.#fates.length]) {
      case "is lost":
        return true;
      case "comes twice":
        this.#pair.deliver(packet);
        return false;
      case "comes late":
        // Once each, or two that are late would pass each other for ever
        if (wire.length === 0 || this.#late.has(packet)) return false;
        this.#late.add(packet);
        wire.push(packet);
        return true;
      default:
        return false;
    }
  }

  deliver(count: number): void {
    for (let left = count; left > 0 && this.#pair.wire.length > 0; left--) {
      const packet = this.#pair.take();
      if (!this.lose(packet)) this.#pair.deliver(packet);
    }
  }
}

class Callers {
  readonly #pair: Pair;
  readonly asked: Record<End, number[]> = { a: [], b: [] };
  #sendId = 0;

  constructor(pair: Pair) {
    this.#pair = pair;
  }

  act(network: Network, step: Action): void {
    const pair = this.#pair;
    switch (step.kind) {
      case "create": {
        const rekeys = step.rekeys ? pair.router(step.end).of("mktNegotiated").at(-1)?.sendId : undefined;
        const terms = step.pfs ? { keyExchange: [31, 0] } : { keyExchange: [0, 19] };
        this.#sendId = (this.#sendId + 1) % 90;
        const more = { terms, ...(rekeys === undefined ? {} : { rekeys }) };
        this.asked[step.end].push(pair.createMkt(step.end, this.#sendId, more));
        return;
      }
      case "inform":
        this.asked[step.end].push(pair.inform(step.end, [{ kind: "freeze", seconds: 1 }], step.connect));
        return;
      case "rekey":
        pair.input(step.end, { kind: "rekeyIkeSa", peer: otherEnd(step.end) });
        return;
      case "close":
        pair.input(step.end, { kind: "closeIkeSa", peer: otherEnd(step.end) });
        return;
      case "abandon": {
        const requestId = this.asked[step.end].at(-1);
        if (requestId !== undefined) pair.input(step.end, { kind: "abandon", requestId });
        return;
      }
      case "reconfigure":
        pair.input(step.end, { kind: "configure", peers: [peerOf(step.end)] });
        return;
      case "pass":
        pair.elapse(step.seconds, (packet) => network.lose(packet));
        return;
      case "deliver":
        network.deliver(step.count);
    }
  }

  /** RequestIds of which the callers heard, in order. */
  ended(end: End): readonly number[] {
    const events = this.#pair.router(end).events.flatMap((event) => {
      const isEnd =
        event.kind === "mktFailed" ||
        event.kind === "informed" ||
        event.kind === "informFailed" ||
        event.kind === "mktNegotiated";
      return isEnd && event.requestId !== undefined ? [event.requestId] : [];
    });
    return events.sort((one, other) => one - other);
  }
}

function spis(pair: Pair, which: End): readonly string[] {
  const all = pair.router(which).endpoint.ikeSas();
  return all.map(({ initiatorSpi, responderSpi }) => `${initiatorSpi} ${responderSpi}`).sort();
}

test(`whatever both ends ask for and however messages fare, every request ends once and both ends agree (seed ${seed})`, () => {
  fc.assert(
    fc.property(
      fc.array(action, { minLength: 1, maxLength: 25 }),
      fc.array(fate, { minLength: 1, maxLength: 20 }),
      (steps, fates) => {
        const pair = new Pair();
        const network = new Network(pair, fates);
        const callers = new Callers(pair);
        for (const step of steps) callers.act(network, step);
        // The network is well again; half an hour for retransmissions, Deletes and liveness checks
        pair.elapse(4000);
        for (const which of ["a", "b"] as const) {
          assert.deepEqual(callers.ended(which), callers.asked[which], `requests of ${which}`);
          const { states, logs } = pair.router(which);
          assert.ok(
            states.every((state) => state === "established"),
            `${which}: ${states.join(" ")}`,
          );
          assert.deepEqual(
            logs.filter(({ name }) => name === "protocolFault"),
            [],
          );
        }
        assert.deepEqual(spis(pair, "a"), spis(pair, "b"));
        assert.ok(spis(pair, "a").length <= 1, "one IKE SA is enough");
        for (const [which, sendId] of [
          ["a", 95],
          ["b", 96],
        ] as const) {
          pair.createMkt(which, sendId);
          pair.flush();
          assert.equal(pair.router(which).last("mktNegotiated").sendId, sendId);
        }
      },
    ),
    { seed, numRuns },
  );
});
