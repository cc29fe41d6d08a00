import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { FileKey } from "../../src/drivers/bird/fileKey.ts";
import type { ProtocolDetails } from "../../src/drivers/bird/protocolDetails.ts";
import { nextKeys } from "../../src/drivers/bird/transition.ts";
import { isSameMkt } from "../../src/drivers/keys.ts";
import { key } from "./support.ts";

const uses = fc.constantFrom("accept" as const, "preferred" as const, "deprecated" as const);

/** Up to four keys of five, at most one preferred. */
const keySet = fc
  .uniqueArray(fc.integer({ min: 1, max: 5 }), { maxLength: 4 })
  .chain((numbers) =>
    fc.tuple(fc.constant(numbers), fc.array(uses, { minLength: numbers.length, maxLength: numbers.length })),
  )
  .map(([numbers, wanted]) => {
    const preferred = wanted.indexOf("preferred");
    return numbers.map((n, index) =>
      key(n, wanted[index] === "preferred" && index !== preferred ? "accept" : (wanted[index] ?? "accept")),
    );
  });

function established(current: FileKey | undefined, rnext: FileKey | undefined): ProtocolDetails {
  const tcpAo = { ...(current && { currentSendId: current.sendId }), ...(rnext && { rnextRecvId: rnext.recvId }) };
  return { name: "r2", kind: "BGP", state: "up", info: "Established", bgpState: "Established", tcpAo };
}

test("from any keys to any others, repeated steps arrive, and none of them makes BIRD restart the session", () => {
  fc.assert(
    fc.property(keySet, keySet, (from, target) => {
      fc.pre(from.some(({ use }) => use !== "deprecated") && target.some(({ use }) => use === "preferred"));
      let file: readonly FileKey[] = from;
      for (let step = 0; step < 4; step++) {
        const best = bestOf(file);
        // The peer follows what it is asked for
        const next = nextKeys({ file, isFileActive: true, target, protocol: established(best, best) });
        assert.ok(next.kind === "write");
        assertNoRestart(file, next.keys, best);
        file = next.keys;
        if (next.retained.length === 0) break;
      }
      assert.equal(file.length, target.length);
      for (const wanted of target) assert.ok(file.some((one) => isSameMkt(one, wanted)));
    }),
    { numRuns: 3_000 },
  );
});

/** What BIRD does on `configure`, from its source: bgp_reconfigure_ao_keys. */
function assertNoRestart(before: readonly FileKey[], after: readonly FileKey[], best: FileKey | undefined): void {
  const survivors = after.filter((one) => before.some((old) => isSameMkt(old, one)));
  const removed = before.filter((old) => !after.some((one) => isSameMkt(old, one)));
  const backup =
    survivors.some(({ use }) => use !== "deprecated") || survivors.some((one) => best && isSameMkt(one, best));
  const isBestRemoved = removed.some((one) => best && isSameMkt(one, best));
  assert.ok(!isBestRemoved || backup, "the key in use is removed and no other can take its place");
  assert.ok(
    after.some(({ use }) => use !== "deprecated"),
    "no usable key",
  );
}

function bestOf(keys: readonly FileKey[]): FileKey | undefined {
  return keys.find(({ use }) => use === "preferred") ?? keys.find(({ use }) => use === "accept");
}

test("while no wanted key is preferred, the one in use stays what BIRD asks for, whoever made it", () => {
  const theirs = { ...key(1, "accept"), algorithm: "bird hmac sha256" } as const;
  const input = { file: [theirs], isFileActive: true, protocol: established(theirs, theirs) };
  const next = nextKeys({ ...input, target: [key(2, "accept")] });
  assert.ok(next.kind === "write");
  assert.deepEqual(
    next.keys.map(({ sendId, use }) => [sendId, use]),
    [
      [2, "preferred"],
      [4, "accept"],
    ],
  );
  assert.deepEqual(next.retained, [theirs]);
  // r1 prefers the new key; r2 has not moved yet, then has
  const rolling = nextKeys({ ...input, file: next.keys, target: [key(2, "preferred")] });
  assert.ok(rolling.kind === "write");
  assert.deepEqual(
    rolling.keys.map(({ sendId, use }) => [sendId, use]),
    [
      [4, "preferred"],
      [2, "deprecated"],
    ],
  );
  const protocol = established(key(2, "preferred"), key(2, "preferred"));
  const rolled = nextKeys({ ...input, file: rolling.keys, protocol, target: [key(2, "preferred")] });
  assert.ok(rolled.kind === "write" && rolled.retained.length === 0 && rolled.keys.length === 1);
});

test("a file that BIRD has not read keeps every key: nobody knows which of them BIRD has", () => {
  const input = { file: [key(1, "preferred"), key(2, "accept")], target: [key(3, "preferred")] };
  const next = nextKeys({
    ...input,
    isFileActive: false,
    protocol: established(key(1, "preferred"), key(1, "preferred")),
  });
  assert.ok(next.kind === "write");
  assert.deepEqual(
    next.keys.map(({ sendId, use }) => [sendId, use]),
    [
      [6, "preferred"],
      [2, "deprecated"],
      [4, "deprecated"],
    ],
  );
});

test("BIRD does not answer: every key stays", () => {
  const next = nextKeys({
    file: [key(1, "preferred")],
    isFileActive: true,
    target: [key(2, "preferred")],
    protocol: undefined,
  });
  assert.ok(next.kind === "write" && next.keys.length === 2);
});

test("no connection: keys are exchanged at once", () => {
  const protocol: ProtocolDetails = { name: "r2", kind: "BGP", state: "start", info: "Connect", bgpState: "Connect" };
  const next = nextKeys({ file: [key(1, "preferred")], isFileActive: true, target: [key(2, "preferred")], protocol });
  assert.ok(next.kind === "write" && next.retained.length === 0);
  assert.deepEqual(
    next.keys.map(({ sendId }) => sendId),
    [4],
  );
});

test("among plain keys BIRD takes the first: what is there stays in front", () => {
  const file = [key(1, "accept")];
  const next = nextKeys({
    file,
    isFileActive: true,
    target: [key(2, "accept"), key(1, "accept")],
    protocol: established(file[0], file[0]),
  });
  assert.ok(next.kind === "write");
  assert.deepEqual(
    next.keys.map(({ sendId }) => sendId),
    [2, 4],
  );
});
