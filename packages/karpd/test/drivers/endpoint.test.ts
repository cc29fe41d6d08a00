import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { test } from "node:test";
import { parseAddress, parseSegment, peering } from "@karp/tcp-ao";
import type { SessionConfiguration } from "../../src/core/configuration.ts";
import { createEndpointDriver } from "../../src/drivers/endpoint/driver.ts";
import { KeyRing } from "../../src/drivers/endpoint/keyRing.ts";
import { distance, KEEPALIVE } from "../../src/drivers/endpoint/segments.ts";
import { SegmentStream } from "../../src/drivers/endpoint/stream.ts";
import type { DriverKey } from "../../src/ports/routingDriver.ts";
import { context, eventually, key, mirrored, sessionOf } from "./support.ts";

const ADDRESSES = ["127.0.0.1", "127.0.0.2"] as const;

/** One end of a stream in memory; another `instance` is an end that was started again. */
function end(own: number, instance = 0xffff) {
  const localAddress = parseAddress(ADDRESSES[own] ?? "");
  const remoteAddress = parseAddress(ADDRESSES[1 - own] ?? "");
  const ring = new KeyRing(peering(localAddress, remoteAddress, 179));
  let seed = 0xfff0 + own; // with this instance sequence numbers wrap soon
  const random = (): number => seed++ >>> 0;
  const isActive = own === 0;
  const stream = new SegmentStream({
    endpoint: ring.endpoint,
    localAddress,
    remoteAddress,
    port: 179,
    isActive,
    intervalMilliseconds: 100,
    instance,
    random,
  });
  return { ring, stream };
}

type End = ReturnType<typeof end>;

type Lose = (packet: Uint8Array, from: 0 | 1) => boolean;

/** A network that delivers at once; `lose` takes packets away. */
function pass(ends: readonly [End, End], now: number, lose: Lose = () => false): void {
  for (const from of [0, 1] as const) {
    let packets = ends[from].stream.tick(now);
    for (let at: 0 | 1 = from; packets.length > 0; at = at === 0 ? 1 : 0) {
      const receiver = ends[at === 0 ? 1 : 0];
      packets = packets.filter((packet) => !lose(packet, at)).flatMap((packet) => receiver.stream.receive(packet, now));
    }
  }
}

/** An interval after the other. @returns when it is then */
function run(ends: readonly [End, End], from: number, milliseconds: number, lose?: Lose): number {
  for (let now = from; now < from + milliseconds; now += 100) pass(ends, now, lose);
  return from + milliseconds;
}

function pair(): readonly [End, End] {
  return [end(0), end(1)];
}

function give(ends: readonly [End, End], ...keys: readonly DriverKey[]): void {
  ends[0].ring.apply(keys);
  ends[1].ring.apply(keys.map(mirrored));
}

function keyedPair(): readonly [End, End] {
  const ends = pair();
  give(ends, key(1, "preferred"));
  return ends;
}

test("nothing is sent and nothing is looked at before the first key", () => {
  const ends = pair();
  pass(ends, 0);
  ends[0].ring.apply([key(1, "preferred")]);
  pass(ends, 100);
  assert.equal(ends[0].stream.counts.segmentsSent, 1, "a SYN");
  assert.deepEqual([ends[1].stream.counts.segmentsSent, ends[1].stream.counts.segmentsRejected], [0, 0]);
});

test("SYN, SYN-ACK, then a KEEPALIVE each way an interval, all signed (RFC 5925 section 7)", () => {
  const ends = pair();
  give(ends, key(1, "preferred"));
  const seen: string[] = [];
  const look = (packet: Uint8Array): boolean => {
    const segment = parseSegment(packet);
    assert.ok(segment.ok && segment.value.tcpAo);
    const { isSyn, isAck, data, tcpAo } = segment.value;
    seen.push(`${isSyn ? "SYN" : ""}${isAck ? "ACK" : ""} ${data.length} keyId ${tcpAo.keyId}`);
    if (data.length > 0) assert.deepEqual(Uint8Array.from(data), KEEPALIVE);
    return false;
  };
  for (let now = 0; now < 300; now += 100) pass(ends, now, look);
  // SYN -->, <-- SYN-ACK, KEEPALIVE -->, <-- KEEPALIVE
  assert.deepEqual(seen.slice(0, 4), ["SYN 0 keyId 2", "SYNACK 0 keyId 3", "ACK 19 keyId 2", "ACK 19 keyId 3"]);
  for (const { stream } of ends) assert.deepEqual([stream.counts.segmentsRejected, stream.counts.gaps], [0, 0]);
});

test("a hundred rollovers: the receiver verifies every segment with the key that it names, no reject, no gap", () => {
  const ends = pair();
  give(ends, key(1, "preferred"));
  let now = 0;
  const turn = (): void => {
    now += 100;
    pass(ends, now);
  };
  turn();
  for (let n = 1; n <= 100; n++) {
    give(ends, key(n, "preferred"), key(n + 1, "accept"));
    turn();
    // First one end alone, then the other
    ends[n % 2 === 0 ? 0 : 1].ring.apply(
      [key(n, "deprecated"), key(n + 1, "preferred")].map(n % 2 === 0 ? (one) => one : mirrored),
    );
    turn();
    give(ends, key(n, "deprecated"), key(n + 1, "preferred"));
    turn();
    turn();
    for (const [index, { stream, ring }] of ends.entries()) {
      assert.equal(
        stream.established?.connection.currentKey.sendId,
        key(n + 1, "accept")[index === 0 ? "sendId" : "recvId"],
      );
      const keys = [key(n + 1, "preferred")].map(index === 0 ? (one) => one : mirrored);
      assert.deepEqual(ring.apply(keys), { kind: "installed" });
    }
  }
  for (const { stream } of ends) {
    const { segmentsVerified, segmentsRejected, gaps, handshakes } = stream.counts;
    assert.ok(segmentsVerified >= 400);
    assert.deepEqual([segmentsRejected, gaps, handshakes], [0, 0, 1]);
  }
});

test("a peer that signs with a key that is not installed here: rejected, and a gap", () => {
  const ends = pair();
  give(ends, key(1, "preferred"));
  pass(ends, 0);
  pass(ends, 100);
  ends[0].ring.apply([key(1, "accept"), key(2, "preferred")]);
  ends[0].stream.established?.connection.setCurrent(key(2, "accept").sendId);
  pass(ends, 200);
  assert.deepEqual([ends[1].stream.counts.segmentsRejected, ends[1].stream.counts.gaps], [1, 0]);
  // The other end's segments still ask for key 1 (RFC 5925 section 7.5, step 2.e): the first one brings this end back
  pass(ends, 300);
  assert.deepEqual([ends[1].stream.counts.segmentsRejected, ends[1].stream.counts.gaps], [1, 1]);
});

test("one corrupted key and swapped IDs are rejected, never verified", () => {
  const wrong = { ...key(1, "preferred"), masterKey: key(2, "preferred").masterKey };
  for (const keys of [[mirrored(wrong)], [key(1, "preferred")]]) {
    const ends = pair();
    ends[0].ring.apply([key(1, "preferred")]);
    ends[1].ring.apply(keys);
    for (let now = 0; now < 3_000; now += 100) pass(ends, now);
    const { segmentsVerified, segmentsRejected } = ends[1].stream.counts;
    assert.equal(segmentsVerified, 0);
    assert.ok(segmentsRejected > 0);
  }
});

test("a lost segment is one gap; the stream goes on", () => {
  const ends = pair();
  give(ends, key(1, "preferred"));
  pass(ends, 0);
  pass(ends, 100);
  let lost = 0;
  pass(ends, 200, () => lost++ < 1);
  for (let now = 300; now < 600; now += 100) pass(ends, now);
  assert.equal(ends[0].stream.counts.gaps + ends[1].stream.counts.gaps, 1);
  assert.equal(ends[1].stream.counts.segmentsRejected, 0);
});

test("either end restarted: a new handshake with the same keys, no reject, no gap", () => {
  for (const who of [0, 1] as const) {
    const ends: [End, End] = [...pair()];
    give(ends, key(1, "preferred"), key(2, "accept"));
    let now = run(ends, 0, 500);
    for (let restart = 1; restart <= 3; restart++) {
      const survivor = ends[1 - who];
      const handshakes = survivor?.stream.counts.handshakes ?? 0;
      ends[who] = end(who, 0xffff - restart);
      give(ends, key(1, "preferred"), key(2, "accept"));
      now = run(ends, now, 8_000);
      for (const { stream } of ends) {
        assert.ok(stream.established, `end ${who} restarted`);
        assert.deepEqual([stream.counts.segmentsRejected, stream.counts.gaps], [0, 0]);
      }
      assert.deepEqual([ends[who].stream.counts.handshakes, survivor?.stream.counts.handshakes], [1, handshakes + 1]);
    }
  }
});

test("a black-out that outlasts the connection: a gap at each end, though no sequence number tells of it", () => {
  for (const lost of [[0, 1], [0], [1]]) {
    const ends = keyedPair();
    let now = run(ends, 0, 500);
    now = run(ends, now, 10_000, (_, from) => lost.includes(from));
    now = run(ends, now, 8_000);
    for (const [own, { stream }] of ends.entries()) {
      const { gaps, handshakes, segmentsRejected } = stream.counts;
      assert.ok(gaps >= 1, `lost from ${lost}: end ${own}`);
      assert.deepEqual([handshakes, segmentsRejected], [2, 0], `lost from ${lost}: end ${own}`);
    }
  }
});

test("a black-out that the connection outlasts: each segment that was lost is a gap", () => {
  const ends = keyedPair();
  let now = run(ends, 0, 500);
  now = run(ends, now, 3_000, () => true);
  run(ends, now, 1_000);
  for (const { stream } of ends) assert.deepEqual([stream.counts.gaps, stream.counts.handshakes], [30, 1]);
});

test("one end closes while both live: a gap at each end; what the other still sends is a gap each", () => {
  for (const who of [0, 1] as const) {
    const ends = keyedPair();
    let now = run(ends, 0, 500);
    ends[who].stream.close();
    now = run(ends, now, 8_000);
    for (const [own, { stream }] of ends.entries())
      assert.ok(stream.counts.gaps >= 1, `end ${who} closed: end ${own}: ${JSON.stringify(stream.counts)}`);
    const { gaps, segmentsStale, handshakes } = ends[who].stream.counts;
    assert.equal(handshakes, 2);
    assert.equal(gaps, segmentsStale + 1);
    if (who === 1) assert.ok(segmentsStale > 10, "the end that opens has to notice first");
  }
});

test("processes that get no processor for a while have not listened meanwhile: no gap, and the same connection", () => {
  const ends = keyedPair();
  let now = run(ends, 0, 500);
  for (const stall of [2_000, 20_000, 60_000]) now = run(ends, now + stall, 500);
  for (const { stream } of ends) assert.deepEqual([stream.counts.gaps, stream.counts.handshakes], [0, 1]);
});

test("a handshake that one end has abandoned is none: it begins anew, and nothing is missing", () => {
  const ends = keyedPair();
  let abandoned = 0;
  const now = run(ends, 0, 500, (packet, from) => {
    const segment = parseSegment(packet);
    const isSynAck = segment.ok && segment.value.isSyn && from === 1;
    if (isSynAck && abandoned++ === 0) ends[1].stream.abandonOpening();
    return false;
  });
  assert.ok(ends[1].stream.counts.segmentsStale > 0);
  run(ends, now, 6_000);
  for (const { stream } of ends) assert.deepEqual([stream.counts.gaps, stream.counts.handshakes], [0, 1]);
});

test("a SYN that is played back opens nothing and closes nothing", () => {
  const ends = pair();
  give(ends, key(1, "preferred"));
  const syns: Uint8Array[] = [];
  const keep = (packet: Uint8Array): boolean => {
    const segment = parseSegment(packet);
    if (segment.ok && segment.value.isSyn && !segment.value.isAck) syns.push(packet);
    return false;
  };
  pass(ends, 0, keep);
  pass(ends, 100);
  ends[0].stream.close();
  for (let now = 200; now < 4_000; now += 100) pass(ends, now);
  const { established } = ends[1].stream;
  assert.equal(syns.length, 1);
  const { gaps } = ends[1].stream.counts;
  for (const syn of syns) ends[1].stream.receive(syn, 4_000);
  for (let now = 4_000; now < 4_500; now += 100) pass(ends, now);
  assert.equal(ends[1].stream.established?.connection, established?.connection);
  assert.equal(ends[1].stream.counts.gaps, gaps);
});

test("any octets from the network change nothing but counters", () => {
  const ends = pair();
  give(ends, key(1, "preferred"));
  pass(ends, 0);
  pass(ends, 100);
  const [good] = ends[0].stream.tick(200);
  assert.ok(good);
  const before = ends[1].stream.established?.connection.status().currentKey;
  for (let bit = 0; bit < good.length * 8; bit += 7) {
    const bent = good.slice();
    bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.deepEqual(ends[1].stream.receive(bent, 200), []);
  }
  assert.deepEqual(ends[1].stream.established?.connection.status().currentKey, before);
  assert.equal(distance(3, 0xfffffffe), 5);
});

async function freePort(address: string): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

async function sessions(interval = "20ms"): Promise<readonly [SessionConfiguration, SessionConfiguration]> {
  const ports = await Promise.all(ADDRESSES.map(freePort));
  const one = (own: 0 | 1): SessionConfiguration => {
    const other = own === 0 ? 1 : 0;
    const settings = {
      bind: `${ADDRESSES[own]}:${ports[own]}`,
      remote: `${ADDRESSES[other]}:${ports[other]}`,
      interval,
    };
    return sessionOf("endpoint", settings, { localAddress: ADDRESSES[own], remoteAddress: ADDRESSES[other] });
  };
  return [one(0), one(1)];
}

test("over real UDP: two drivers roll their key, observe it, and count no reject and no gap", async (t) => {
  const both = await sessions();
  const drivers = [createEndpointDriver(context()), createEndpointDriver(context())] as const;
  t.after(() => Promise.all(drivers.map((driver) => driver.close())));
  const apply = async (...keys: readonly DriverKey[]): Promise<void> => {
    assert.deepEqual(await drivers[0].apply(both[0], keys), { kind: "installed" });
    assert.deepEqual(await drivers[1].apply(both[1], keys.map(mirrored)), { kind: "installed" });
  };
  const moved = (n: number): Promise<true> =>
    eventually(`key ${n} in use both ways`, async () => {
      const outcome = await drivers[1].observe(both[1]);
      assert.ok(outcome.kind === "observed");
      const { currentSendId, receivedKeyId, connections, goodByRecvId } = outcome.observation;
      const { sendId, recvId } = mirrored(key(n, "accept"));
      const isMoved =
        currentSendId === sendId &&
        receivedKeyId === recvId &&
        connections === 1 &&
        (goodByRecvId?.get(recvId) ?? 0) > 1;
      return isMoved || undefined;
    });
  await apply(key(1, "preferred"));
  await moved(1);
  await apply(key(1, "preferred"), key(2, "accept"));
  await apply(key(1, "deprecated"), key(2, "preferred"));
  await moved(2);
  await apply(key(2, "preferred"));
  for (const driver of drivers) {
    const { segmentsVerified = 0, segmentsRejected, gaps } = driver.statistics()["r2"] ?? {};
    assert.ok(segmentsVerified >= 3);
    assert.deepEqual([segmentsRejected, gaps], [0, 0]);
  }
  assert.match(
    JSON.stringify(await drivers[0].apply(both[0], [key(3, "preferred")])),
    /pending.*still in use/,
    "the peer lacks it",
  );
});

test("a port in use is pending, an address that is not ours is refused", async (t) => {
  const [session] = await sessions();
  const drivers = [createEndpointDriver(context()), createEndpointDriver(context())] as const;
  t.after(() => Promise.all(drivers.map((driver) => driver.close())));
  await drivers[0].apply(session, [key(1, "preferred")]);
  assert.equal((await drivers[1].apply(session, [key(1, "preferred")])).kind, "pending");
  const elsewhere = { ...session, driverSettings: { ...session.driverSettings, bind: "192.0.2.1:40000" } };
  assert.equal((await drivers[1].apply(elsewhere, [key(1, "preferred")])).kind, "refused");
});
