import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { TrafficSelector } from "../../src/codec/trafficSelector.ts";
import { parseAddress } from "../../src/policy/address.ts";
import {
  equalSelectors,
  formatSelectors,
  isSubset,
  mktSelectors,
  narrow,
  type RangeSelector,
  selectorsOutside,
} from "../../src/policy/trafficSelectors.ts";

function address(text: string): Uint8Array {
  return parseAddress(text) ?? assert.fail(text);
}

/** range("10.0.0.1", [179, 179]) or with an end address and a protocol. */
function range(start: string, ports: readonly [number, number], end = start, ipProtocol = 6): RangeSelector {
  return {
    kind: "range",
    ipProtocol,
    startPort: ports[0],
    endPort: ports[1],
    startAddress: address(start),
    endAddress: address(end),
  };
}

const r1 = address("10.0.0.1");
const r2 = address("10.0.0.2");
const bgp = mktSelectors(r1, r2, 179);
const unknown: TrafficSelector = { kind: "unknown", tsType: 10, data: Uint8Array.of(1, 2) };

test("a session's selectors: each end with the protocol's port and with 1024 to 65535, single addresses", () => {
  assert.equal(formatSelectors(bgp.localSelectors), "10.0.0.1 tcp 179, 10.0.0.1 tcp 1024-65535");
  assert.equal(formatSelectors(bgp.remoteSelectors), "10.0.0.2 tcp 179, 10.0.0.2 tcp 1024-65535");
  const pcep = mktSelectors(address("2001:db8::1"), address("2001:db8::2"), 4189);
  assert.equal(formatSelectors(pcep.localSelectors), "2001:db8::1 tcp 4189, 2001:db8::1 tcp 1024-65535");
});

test("the two ends of a session describe the same traffic", () => {
  const mirrored = mktSelectors(r2, r1, 179);
  assert.ok(equalSelectors(bgp.localSelectors, mirrored.remoteSelectors));
  assert.ok(equalSelectors(bgp.remoteSelectors, mirrored.localSelectors));
});

test("what policy allows wholly comes back as it was (RFC 7296 section 2.9)", () => {
  assert.deepEqual(narrow(bgp.localSelectors, bgp.localSelectors), bgp.localSelectors);
});

test("a wide proposal is narrowed to policy (RFC 7296 section 2.9)", () => {
  const any = range("0.0.0.0", [0, 65535], "255.255.255.255", 0);
  assert.deepEqual(narrow([any], bgp.localSelectors), bgp.localSelectors);
  const net = range("10.0.0.0", [100, 2000], "10.0.0.255");
  assert.equal(formatSelectors(narrow([net], bgp.localSelectors)), "10.0.0.1 tcp 179, 10.0.0.1 tcp 1024-2000");
});

test("the initiator's first choice is in the narrowed set when policy allows it (RFC 7296 section 2.9)", () => {
  const first = range("10.0.0.1", [40000, 40000]);
  const narrowed = narrow([first, range("10.0.0.1", [0, 65535])], bgp.localSelectors);
  assert.deepEqual(narrowed[0], first);
});

test("unknown types are ignored and not returned (RFC 7296 section 2.9)", () => {
  assert.deepEqual(narrow([unknown, ...bgp.localSelectors], bgp.localSelectors), bgp.localSelectors);
  assert.deepEqual(narrow([unknown], [unknown]), []);
});

test("nothing in common is an empty set: TS_UNACCEPTABLE (RFC 7296 section 2.9)", () => {
  for (const other of [
    range("10.0.0.2", [179, 179]),
    range("10.0.0.1", [180, 200]),
    range("10.0.0.1", [179, 179], "10.0.0.1", 17),
    range("::ffff:10.0.0.1", [179, 179]),
    range("10.0.0.1", [65535, 0]), // OPAQUE
  ]) {
    assert.deepEqual(narrow([other], bgp.localSelectors), []);
  }
});

test("no more selectors than the payload has room for (RFC 7296 section 3.13)", () => {
  const many = Array.from({ length: 255 }, (_, n) => range("10.0.0.1", [1000 + n, 3000 + n]));
  const halves = [range("10.0.0.1", [0, 2000]), range("10.0.0.1", [2001, 65535])];
  assert.equal(narrow(many, halves).length, 255);
});

test("a subset may be divided otherwise than the whole", () => {
  const whole = [range("10.0.0.1", [100, 199]), range("10.0.0.1", [200, 300])];
  assert.ok(isSubset([range("10.0.0.1", [150, 250])], whole));
  assert.ok(!isSubset([range("10.0.0.1", [150, 301])], whole));
  assert.ok(equalSelectors([range("10.0.0.1", [100, 300])], whole));
  assert.ok(isSubset([range("10.0.0.1", [5, 5])], [range("10.0.0.0", [0, 65535], "10.0.0.255", 0)]));
  assert.ok(!isSubset([range("10.0.0.1", [5, 5], "10.0.0.1", 0)], [range("10.0.0.1", [0, 65535])]));
});

test("selectors outside are named, unknown and empty ones too", () => {
  const opaque = range("10.0.0.1", [65535, 0]);
  const foreign = range("10.9.0.1", [179, 179]);
  const [inside] = bgp.localSelectors;
  assert.ok(inside);
  assert.deepEqual(selectorsOutside([inside, foreign, unknown, opaque], bgp.localSelectors), [
    foreign,
    unknown,
    opaque,
  ]);
  assert.equal(formatSelectors([unknown, opaque]), "type 10 0102, 10.0.0.1 tcp 65535-0");
  assert.equal(formatSelectors([range("10.0.0.0", [0, 65535], "10.0.0.7", 0)]), "10.0.0.0-10.0.0.7 any");
  assert.equal(formatSelectors([range("10.0.0.1", [1, 2], "10.0.0.1", 17)]), "10.0.0.1 protocol 17 1-2");
});

test("a peer cannot make the comparison expensive", () => {
  const grid = Array.from({ length: 255 }, (_, n) => range(`10.0.${n}.0`, [n * 256, n * 256 + 9], `10.0.${n}.9`));
  const whole = range("0.0.0.0", [0, 65535], "255.255.255.255");
  assert.equal(isSubset([whole], grid), false);
});

// A model small enough to enumerate: 2 protocols, 6 ports, 6 addresses.
const interval = fc.tuple(fc.nat(5), fc.nat(5));
const anySelector = fc
  .record({ ipProtocol: fc.constantFrom(0, 6, 17), ports: interval, addresses: interval })
  .map(({ ipProtocol, ports, addresses }) => ({
    kind: "range" as const,
    ipProtocol,
    startPort: ports[0],
    endPort: ports[1],
    startAddress: Uint8Array.of(10, 0, 0, addresses[0]),
    endAddress: Uint8Array.of(10, 0, 0, addresses[1]),
  }));
const anySet = fc.array(anySelector, { maxLength: 5 });

/** Every (protocol, port, address) of the set; protocol 1 stands for all that are not named. */
function points(selectors: readonly RangeSelector[]): ReadonlySet<string> {
  const all = new Set<string>();
  for (const protocol of [1, 6, 17]) {
    for (let port = 0; port < 6; port++) {
      for (let host = 0; host < 6; host++) {
        if (selectors.some((selector) => holds(selector, protocol, port, host))) all.add(`${protocol} ${port} ${host}`);
      }
    }
  }
  return all;
}

function holds(selector: RangeSelector, protocol: number, port: number, host: number): boolean {
  return (
    (selector.ipProtocol === 0 || selector.ipProtocol === protocol) &&
    selector.startPort <= port &&
    port <= selector.endPort &&
    (selector.startAddress[3] ?? 0) <= host &&
    host <= (selector.endAddress[3] ?? 0)
  );
}

test("property: narrowing is the intersection, a subset of both sides (RFC 7296 section 2.9)", () => {
  fc.assert(
    fc.property(anySet, anySet, (proposed, allowed) => {
      const narrowed = narrow(proposed, allowed);
      const inAllowed = points(allowed);
      assert.deepEqual(points(narrowed), new Set([...points(proposed)].filter((point) => inAllowed.has(point))));
      assert.ok(isSubset(narrowed, proposed));
      assert.ok(isSubset(narrowed, allowed));
    }),
    { numRuns: 500 },
  );
});

test("property: isSubset agrees with enumeration", () => {
  const notEmpty = (s: RangeSelector): boolean => points([s]).size > 0;
  fc.assert(
    fc.property(anySet, anySet, (inner, outer) => {
      const inOuter = points(outer);
      const expected = inner.every(notEmpty) && [...points(inner)].every((point) => inOuter.has(point));
      // "any" is covered by "any" alone: named protocols never add up to all 256
      assert.equal(isSubset(inner, outer), expected);
    }),
    { numRuns: 1000 },
  );
});
