import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import {
  type MasterKeyTuple,
  parseAddress,
  parseSegment,
  peering,
  TcpAoEndpoint,
  TcpAoUsageError,
  type TcpAoUsageErrorCode,
  type Verdict,
} from "../src/index.ts";
import {
  ALICE,
  ALICE_PAIR,
  aliceMkt,
  BOB,
  BOB_PAIR,
  bobMkt,
  crypto,
  establishedPair,
  fromAlice,
  fromBob,
  hex,
  pass,
  toHex,
  unwrap,
} from "./support.ts";

function refusedWith(code: TcpAoUsageErrorCode) {
  return (error: unknown): boolean => error instanceof TcpAoUsageError && error.code === code;
}

function reason(verdict: Verdict): string {
  return verdict.kind === "discarded" ? verdict.reason : verdict.kind;
}

function currentKeyOf(endpoint: TcpAoEndpoint): number | undefined {
  return endpoint.connections()[0]?.currentKey.sendId;
}

function signedBy(endpoint: TcpAoEndpoint, packet: Uint8Array): Uint8Array {
  const outgoing = endpoint.send(packet);
  assert.ok(outgoing.kind === "signed", outgoing.kind);
  return outgoing.packet;
}

test("a connection opens and carries data both ways, with every algorithm and option flag", () => {
  for (const algorithm of ["hmac-sha-1-96", "aes-128-cmac-96", "hmac-sha-256-128"] as const) {
    for (const coversTcpOptions of [true, false]) {
      const { alice, bob } = establishedPair({ algorithm, coversTcpOptions });
      // KEEPALIVE -->
      assert.equal(reason(pass(alice, bob, fromAlice.data())), "authenticated");
      // <-- KEEPALIVE
      assert.equal(reason(pass(bob, alice, fromBob.data())), "authenticated");
      assert.deepEqual(bob.counters(), { good: 3, bad: 0, keyNotFound: 0, required: 0 });
    }
  }
});

test("any ID from 0 to 255 is legal, none else (RFC 5925 section 3.1)", () => {
  const endpoint = new TcpAoEndpoint({ crypto });
  endpoint.addMkt(aliceMkt(0, 255, "a"));
  endpoint.addMkt(aliceMkt(255, 0, "b"));
  for (const id of [-1, 256, 1.5]) {
    assert.throws(() => endpoint.addMkt(aliceMkt(id, 1, "c")), refusedWith("badKeyId"));
    assert.throws(() => endpoint.addMkt(aliceMkt(1, id, "c")), refusedWith("badKeyId"));
  }
});

test("IDs must not overlap where connection identifiers overlap (RFC 5925 section 3.1)", () => {
  const endpoint = new TcpAoEndpoint({ crypto });
  endpoint.addMkt(aliceMkt(1, 101, "a"));
  assert.throws(() => endpoint.addMkt(aliceMkt(1, 102, "b")), refusedWith("overlappingSendId"));
  assert.throws(() => endpoint.addMkt(aliceMkt(2, 101, "b")), refusedWith("overlappingRecvId"));
  const wider: MasterKeyTuple = {
    ...aliceMkt(1, 102, "b"),
    connectionIdentifier: [
      {
        localAddress: "*",
        localPort: "*",
        remoteAddress: { address: parseAddress("10.0.0.0"), prefixLength: 31 },
        remotePort: "*",
      },
    ],
  };
  assert.equal(endpoint.addMkt(wider).sendId, 1, "10.0.0.0/31 does not hold 10.0.0.2");
  endpoint.addMkt({ ...aliceMkt(1, 101, "b"), connectionIdentifier: peering(ALICE, BOB, 646) });
  endpoint.addMkt({ ...aliceMkt(1, 101, "b"), connectionIdentifier: peering(ALICE, parseAddress("10.0.0.3"), 179) });
  assert.equal(endpoint.mkts().length, 4);
  const everything: MasterKeyTuple = {
    ...aliceMkt(9, 101, "b"),
    connectionIdentifier: [
      { localAddress: "*", localPort: "*", remoteAddress: "*", remotePort: { first: 100, last: 200 } },
    ],
  };
  assert.throws(() => endpoint.addMkt(everything), refusedWith("overlappingRecvId"));
});

test("connection identifiers and keys that make no sense are refused", () => {
  const endpoint = new TcpAoEndpoint({ crypto });
  const wildcard = { localAddress: "*", localPort: "*", remoteAddress: "*", remotePort: "*" } as const;
  const bad = (pattern: object) => [{ ...wildcard, ...pattern }];
  for (const connectionIdentifier of [
    [],
    bad({ localPort: { first: 2, last: 1 } }),
    bad({ remotePort: { first: 0, last: 65536 } }),
    bad({ localAddress: { address: ALICE, prefixLength: 33 } }),
    bad({ remoteAddress: { address: hex("0a00"), prefixLength: 16 } }),
  ]) {
    assert.throws(
      () => endpoint.addMkt({ ...aliceMkt(1, 2, "a"), connectionIdentifier }),
      refusedWith("badConnectionIdentifier"),
    );
  }
  assert.throws(() => endpoint.addMkt(aliceMkt(1, 2, "")), refusedWith("badMasterKey"));
  assert.equal(endpoint.mkts().length, 0);
});

test("an installed MKT is a copy and prints without its key", () => {
  const endpoint = new TcpAoEndpoint({ crypto });
  const masterKey = Buffer.from("wonderland");
  const mkt = endpoint.addMkt({ ...aliceMkt(1, 2, "x"), masterKey });
  const isUnchanged = () => mkt.exposeMasterKey((octets) => Buffer.from(octets).toString()) === "wonderland";
  masterKey.fill(0);
  assert.ok(isUnchanged());
  endpoint.open(ALICE_PAIR, { localIsn: 1, remoteIsn: 2 });
  const printed = [endpoint, mkt, endpoint.connections()].map(
    (value) => `${inspect(value, { depth: 9, showHidden: true })}${JSON.stringify(value)}`,
  );
  assert.doesNotMatch(printed.join(), /wonderland|776f6e6465726c616e64|119, 111, 110|77 6f 6e/);
});

test("the KeyID alone chooses among MKTs that match (RFC 5925 section 3.3)", () => {
  const { alice, bob, aliceKey } = establishedPair();
  const second = alice.addMkt(aliceMkt(2, 102, "second key"));
  bob.addMkt(bobMkt(102, 2, "second key"));
  alice.connections()[0]?.setCurrent(second.sendId);
  const verdict = pass(alice, bob, fromAlice.data());
  assert.ok(verdict.kind === "authenticated");
  assert.deepEqual([verdict.keyId, verdict.mkt.recvId], [2, 2]);
  alice.connections()[0]?.setCurrent(aliceKey.sendId);
  assert.equal(reason(pass(alice, bob, fromAlice.data(20))), "authenticated");
});

test("a KeyID without an MKT is discarded and counted, not tried with other keys (RFC 5925 section 3.3)", () => {
  const { alice, bob } = establishedPair();
  alice.addMkt(aliceMkt(2, 102, "first key"));
  alice.connections()[0]?.setCurrent(2);
  assert.equal(reason(pass(alice, bob, fromAlice.data())), "keyNotFound");
  assert.deepEqual(bob.counters(), { good: 2, bad: 0, keyNotFound: 1, required: 0 });
  assert.equal(bob.connections()[0]?.status().counters.keyNotFound, 1);
});

test("without a matching MKT segments leave unsigned and are accepted (RFC 5925 sections 3.3 and 7.3)", () => {
  const alice = new TcpAoEndpoint({ crypto });
  const bob = new TcpAoEndpoint({ crypto });
  const outgoing = alice.send(fromAlice.syn());
  assert.equal(outgoing.kind, "unsigned");
  assert.equal(reason(bob.receive(fromAlice.syn())), "unauthenticated");
});

test("TCP-AO without a matching MKT is accepted by default, discarded when so configured (RFC 5925 section 7.3)", () => {
  const alice = new TcpAoEndpoint({ crypto });
  alice.addMkt(aliceMkt(1, 101, "a"));
  const syn = signedBy(alice, fromAlice.syn());
  assert.equal(reason(new TcpAoEndpoint({ crypto }).receive(syn)), "unauthenticated");
  const strict = new TcpAoEndpoint({ crypto, unmatched: "discard" });
  assert.equal(reason(strict.receive(syn)), "keyNotFound");
  assert.equal(reason(strict.receive(fromAlice.syn())), "required");
  assert.deepEqual(strict.counters(), { good: 0, bad: 0, keyNotFound: 1, required: 1 });
});

test("a connection that matches an MKT takes no segment without TCP-AO (RFC 5925 section 7.5)", () => {
  const { bob } = establishedPair();
  assert.equal(reason(bob.receive(fromAlice.data())), "required");
  assert.equal(reason(bob.receive(fromAlice.syn())), "required");
  assert.equal(bob.counters().required, 2);
});

test("a SYN uses a destination ISN of zero, other segments both ISNs (RFC 5925 section 5.2)", () => {
  const { alice, bob } = establishedPair();
  assert.equal(alice.connections()[0]?.remoteIsn, 0x11223344);
  assert.equal(bob.connections()[0]?.remoteIsn, 0xfffffff0);
  // A SYN that comes again is still valid
  assert.equal(reason(pass(alice, bob, fromAlice.syn())), "authenticated");
});

test("a reset of no known connection leaves unsigned, other segments are refused (RFC 5925 section 5.2)", () => {
  const alice = new TcpAoEndpoint({ crypto });
  alice.addMkt(aliceMkt(1, 101, "a"));
  const reset = fromAlice.data();
  const flagsAt = 20 + 13;
  reset[flagsAt] = 0x04;
  assert.equal(alice.send(reset).kind, "unsigned");
  const refused = alice.send(fromAlice.data());
  assert.ok(refused.kind === "refused" && refused.reason === "isnUnknown");
});

test("a segment of an unknown connection cannot be verified (RFC 5925 section 7.7)", () => {
  const { alice } = establishedPair();
  const rebooted = new TcpAoEndpoint({ crypto });
  rebooted.addMkt(bobMkt(101, 1, "first key"));
  assert.equal(reason(pass(alice, rebooted, fromAlice.data())), "isnUnknown");
});

test("ISNs can be given where no SYN passes through (RFC 5925 section 7.7: stored across a reboot)", () => {
  const { alice } = establishedPair();
  const rebooted = new TcpAoEndpoint({ crypto });
  rebooted.addMkt(bobMkt(101, 1, "first key"));
  rebooted.open(BOB_PAIR, { localIsn: 0x11223344, remoteIsn: 0xfffffff0 });
  assert.equal(reason(pass(alice, rebooted, fromAlice.data())), "authenticated");
  assert.equal(reason(pass(rebooted, alice, fromBob.data())), "authenticated");
  assert.throws(() => rebooted.open(BOB_PAIR), refusedWith("connectionExists"));
});

test("both ends open at once and use all four traffic keys (RFC 5925 section 3.2)", () => {
  const alice = new TcpAoEndpoint({ crypto });
  const bob = new TcpAoEndpoint({ crypto });
  alice.addMkt(aliceMkt(1, 101, "a"));
  bob.addMkt(bobMkt(101, 1, "a"));
  const bobSyn = fromBob.synAck({ acknowledgmentNumber: 0 });
  bobSyn[20 + 13] = 0x02;
  const lenient = { crypto, validatesChecksum: false };
  const [a, b] = [new TcpAoEndpoint(lenient), new TcpAoEndpoint(lenient)];
  a.addMkt(aliceMkt(1, 101, "a"));
  b.addMkt(bobMkt(101, 1, "a"));
  // SYN --> and <-- SYN cross
  const [first, second] = [signedBy(a, fromAlice.syn()), signedBy(b, bobSyn)];
  assert.equal(reason(a.receive(second)), "authenticated");
  assert.equal(reason(b.receive(first)), "authenticated");
  // SYN-ACK --> and <-- SYN-ACK
  const synAck = fromAlice.syn({ acknowledgmentNumber: 0x11223345 });
  synAck[20 + 13] = 0x12;
  assert.equal(reason(b.receive(signedBy(a, synAck))), "authenticated");
  assert.equal(reason(a.receive(signedBy(b, fromBob.synAck()))), "authenticated");
  assert.equal(reason(pass(a, b, fromAlice.data())), "authenticated");
});

test("rollover: install, ask, follow, remove; no segment is lost (RFC 5925 section 6.1)", () => {
  const { alice, bob, aliceKey, bobKey } = establishedPair();
  let sequence = 1;
  const exchange = () => {
    assert.equal(reason(pass(alice, bob, fromAlice.data(sequence))), "authenticated");
    assert.equal(reason(pass(bob, alice, fromBob.data(sequence))), "authenticated");
    sequence += 19;
  };
  exchange();
  alice.addMkt(aliceMkt(2, 102, "second key"));
  exchange();
  bob.addMkt(bobMkt(102, 2, "second key"));
  exchange();
  assert.deepEqual([currentKeyOf(alice), currentKeyOf(bob)], [1, 101], "installation alone moves nothing");
  // Alice wants to receive with key 2: Bob's current_key follows, Alice's does not
  alice.connections()[0]?.setRnext(102);
  exchange();
  assert.deepEqual([currentKeyOf(alice), currentKeyOf(bob)], [1, 102]);
  bob.connections()[0]?.setRnext(2);
  exchange();
  assert.deepEqual([currentKeyOf(alice), currentKeyOf(bob)], [2, 102]);
  alice.removeMkt(aliceKey);
  bob.removeMkt(bobKey);
  exchange();
  const status = bob.connections()[0]?.status();
  assert.deepEqual(status?.currentKey, { sendId: 102, recvId: 2 });
  assert.deepEqual(status?.received, { keyId: 2, rNextKeyId: 102 });
  assert.deepEqual(status?.keys, [{ sendId: 102, recvId: 2, good: 1, bad: 0 }]);
  assert.deepEqual(
    [alice.counters().bad, bob.counters().bad, alice.counters().keyNotFound, bob.counters().keyNotFound],
    [0, 0, 0, 0],
  );
});

test("a hundred rollovers one after the other", () => {
  const { alice, bob, aliceKey, bobKey } = establishedPair();
  let [previousAlice, previousBob] = [aliceKey, bobKey];
  for (let round = 0; round < 100; round++) {
    const id = (round + 2) % 256;
    const nextAlice = alice.addMkt(aliceMkt(id, 255 - id, `key ${round}`));
    const nextBob = bob.addMkt(bobMkt(255 - id, id, `key ${round}`));
    alice.connections()[0]?.setRnext(nextAlice.recvId);
    bob.connections()[0]?.setRnext(nextBob.recvId);
    for (const step of [1, 2]) {
      const at = round * 40 + step * 19;
      assert.equal(reason(pass(alice, bob, fromAlice.data(at))), "authenticated");
      assert.equal(reason(pass(bob, alice, fromBob.data(at))), "authenticated");
    }
    alice.removeMkt(previousAlice);
    bob.removeMkt(previousBob);
    [previousAlice, previousBob] = [nextAlice, nextBob];
  }
  assert.equal(alice.counters().good, 201);
});

test("current_key moves back when a segment out of order asks for it (RFC 5925 section 6.1, 'backing up')", () => {
  const { alice, bob } = establishedPair();
  alice.addMkt(aliceMkt(2, 102, "second key"));
  bob.addMkt(bobMkt(102, 2, "second key"));
  const early = signedBy(alice, fromAlice.data(1));
  alice.connections()[0]?.setRnext(102);
  assert.equal(reason(pass(alice, bob, fromAlice.data(20))), "authenticated");
  assert.equal(currentKeyOf(bob), 102);
  const verdict = bob.receive(early);
  assert.ok(verdict.kind === "authenticated" && verdict.movedCurrentTo?.sendId === 101);
  assert.equal(currentKeyOf(bob), 101);
});

test("an RNextKeyID without an installed MKT changes nothing (RFC 5925 section 7.5, step 2.e.ii.1)", () => {
  const { alice, bob } = establishedPair();
  alice.addMkt(aliceMkt(2, 102, "second key"));
  alice.connections()[0]?.setRnext(102);
  assert.equal(reason(pass(alice, bob, fromAlice.data())), "authenticated");
  assert.equal(currentKeyOf(bob), 101);
});

test("an RNextKeyID is matched with SendIDs, not with RecvIDs (RFC 5925 section 7.5, step 2.e.ii.1)", () => {
  const { alice, bob } = establishedPair();
  alice.addMkt(aliceMkt(2, 102, "second key"));
  bob.addMkt(bobMkt(7, 102, "unrelated"));
  alice.connections()[0]?.setRnext(102);
  pass(alice, bob, fromAlice.data());
  assert.equal(currentKeyOf(bob), 101);
});

test("a segment that does not validate moves nothing but counters (RFC 5925 section 7.5, step 2.d)", () => {
  const { alice, bob, bobKey } = establishedPair();
  alice.addMkt(aliceMkt(2, 102, "second key"));
  bob.addMkt(bobMkt(102, 2, "second key"));
  alice.connections()[0]?.setRnext(102);
  const forger = new TcpAoEndpoint({ crypto });
  forger.addMkt(aliceMkt(1, 101, "not the key"));
  forger.addMkt(aliceMkt(2, 102, "not the key either"));
  const wrong = forger.open(ALICE_PAIR, { localIsn: 0xfffffff0, remoteIsn: 0x11223344 });
  wrong.setRnext(102);
  // Over the roll-over of the sequence number, so that RCV.SNE would move as well
  for (const offset of [0x11, 0x40000000, 0x7fffffff]) {
    assert.equal(reason(bob.receive(signedBy(forger, fromAlice.data(offset)))), "bad");
  }
  assert.equal(currentKeyOf(bob), bobKey.sendId);
  const status = bob.connections()[0]?.status();
  assert.deepEqual(status?.keys[0], { sendId: 101, recvId: 1, good: 2, bad: 3 });
  assert.deepEqual(status?.received, { keyId: 1, rNextKeyId: 101 });
  assert.equal(reason(pass(alice, bob, fromAlice.data())), "authenticated");
});

test("sequence numbers roll over, twice, with late segments in between (RFC 5925 section 6.2)", () => {
  const { alice, bob } = establishedPair();
  // 0xfffffff0 is the ISN
  const offsets = [1, 0x30, 0x20, 0x60000000, 0xa0000000, 0xf0000000, 0x100000020, 0x150000000];
  const packets = offsets.map((offset) => signedBy(alice, fromAlice.data(offset % 0x100000000)));
  for (const packet of packets) assert.equal(reason(bob.receive(packet)), "authenticated");
  assert.equal(reason(bob.receive(packets[1] ?? hex(""))), "bad", "the same octets, one roll-over later");
});

test("an old SYN that is played back changes nothing, and says what it is", () => {
  const { alice, bob, bobKey } = establishedPair();
  const other = new TcpAoEndpoint({ crypto });
  other.addMkt(aliceMkt(1, 101, "first key"));
  const oldSyn = signedBy(other, fromAlice.syn({ sequenceNumber: 5 }));
  const verdict = bob.receive(oldSyn);
  assert.ok(verdict.kind === "authenticated" && verdict.isSynOfOtherConnection);
  assert.equal(bob.connections()[0]?.remoteIsn, 0xfffffff0);
  assert.equal(reason(pass(alice, bob, fromAlice.data())), "authenticated");
  // TCP decides that Alice has restarted
  bob.close(BOB_PAIR);
  const again = bob.receive(oldSyn);
  assert.ok(again.kind === "authenticated" && !again.isSynOfOtherConnection);
  assert.equal(bob.connections()[0]?.remoteIsn, 5);
  assert.equal(bob.connections()[0]?.currentKey, bobKey);
});

test("a forged SYN opens no connection", () => {
  const forger = new TcpAoEndpoint({ crypto });
  forger.addMkt(aliceMkt(1, 101, "not the key"));
  const bob = new TcpAoEndpoint({ crypto });
  bob.addMkt(bobMkt(101, 1, "first key"));
  assert.equal(reason(bob.receive(signedBy(forger, fromAlice.syn()))), "bad");
  assert.equal(bob.connections().length, 0);
  assert.deepEqual(bob.counters(), { good: 0, bad: 1, keyNotFound: 0, required: 0 });
});

test("a SYN chooses the answer's keys: rnext_key by its KeyID, current_key by its RNextKeyID (RFC 5925 section 6.1)", () => {
  const alice = new TcpAoEndpoint({ crypto });
  const bob = new TcpAoEndpoint({ crypto });
  for (const id of [1, 2]) {
    alice.addMkt(aliceMkt(id, 100 + id, `key ${id}`));
    bob.addMkt(bobMkt(100 + id, id, `key ${id}`));
  }
  const [first, second] = alice.mkts();
  assert.ok(first && second);
  alice.open(ALICE_PAIR, { currentKey: second, rnextKey: first });
  // SYN KeyID 2, RNextKeyID 101 -->
  assert.equal(reason(pass(alice, bob, fromAlice.syn())), "authenticated");
  const { currentKey, rnextKey } = bob.connections()[0]?.status() ?? {};
  assert.deepEqual([currentKey?.sendId, rnextKey?.recvId], [101, 2]);
});

test("new connections begin with the preferred MKT", () => {
  const alice = new TcpAoEndpoint({ crypto });
  alice.addMkt(aliceMkt(1, 101, "a"));
  const newer = alice.addMkt(aliceMkt(2, 102, "b"));
  alice.prefer(newer);
  const outgoing = alice.send(fromAlice.syn());
  assert.ok(outgoing.kind === "signed");
  assert.deepEqual([outgoing.keyId, outgoing.rNextKeyId], [2, 102]);
});

test("a SYN with another ISN is a new connection, with fresh SNEs (RFC 5925 section 7.4, step 1.a)", () => {
  const { alice } = establishedPair();
  const bob = new TcpAoEndpoint({ crypto });
  bob.addMkt(bobMkt(101, 1, "first key"));
  assert.equal(reason(pass(alice, bob, fromAlice.syn({ sequenceNumber: 77 }))), "authenticated");
  assert.equal(alice.connections()[0]?.localIsn, 77);
  assert.equal(alice.connections()[0]?.remoteIsn, undefined);
});

test("an MKT that affects a connection cannot be destroyed, unless it is replaced (RFC 5925 section 3.1)", () => {
  const { alice, aliceKey } = establishedPair();
  assert.throws(() => alice.removeMkt(aliceKey), refusedWith("mktInUse"));
  const next = alice.addMkt(aliceMkt(2, 102, "second key"));
  assert.throws(() => alice.removeMkt(aliceKey, { currentKey: next }), refusedWith("mktInUse"));
  assert.throws(() => alice.removeMkt(aliceKey, { currentKey: aliceKey, rnextKey: aliceKey }), refusedWith("mktInUse"));
  const foreign = alice.addMkt({ ...aliceMkt(3, 103, "c"), connectionIdentifier: peering(ALICE, BOB, 646) });
  assert.throws(
    () => alice.removeMkt(aliceKey, { currentKey: next, rnextKey: foreign }),
    refusedWith("mktDoesNotMatch"),
  );
  assert.deepEqual(
    alice.connections()[0]?.status().currentKey,
    { sendId: 1, recvId: 101 },
    "a refusal changes nothing",
  );
  alice.removeMkt(aliceKey, { currentKey: next, rnextKey: next });
  assert.deepEqual(alice.connections()[0]?.status().rnextKey, { sendId: 2, recvId: 102 });
  assert.throws(() => alice.removeMkt(aliceKey), refusedWith("unknownMkt"));
  assert.ok(
    aliceKey.exposeMasterKey((octets) => octets.every((octet) => octet === 0)),
    "its key is erased",
  );
});

test("rnext_key and current_key can only be set to installed MKTs (RFC 5925 section 6.1)", () => {
  const { alice } = establishedPair();
  const [connection] = alice.connections();
  assert.throws(() => connection?.setRnext(102), refusedWith("unknownMkt"));
  assert.throws(() => connection?.setCurrent(2), refusedWith("unknownMkt"));
  assert.throws(() => new TcpAoEndpoint({ crypto }).open(ALICE_PAIR), refusedWith("noMatchingMkt"));
});

test("components of the two ends that differ are found out: key, algorithm, option flag, IDs", () => {
  const bad = (more: Partial<MasterKeyTuple>) => {
    const alice = new TcpAoEndpoint({ crypto });
    const bob = new TcpAoEndpoint({ crypto });
    alice.addMkt(aliceMkt(1, 101, "a"));
    bob.addMkt({ ...bobMkt(101, 1, "a"), ...more });
    const syn = fromAlice.syn({ options: hex("020405b4") });
    return reason(pass(alice, bob, syn));
  };
  assert.equal(bad({}), "authenticated");
  assert.equal(bad({ masterKey: hex("62") }), "bad");
  assert.equal(bad({ algorithm: "hmac-sha-1-96" }), "bad");
  assert.equal(bad({ algorithm: "hmac-sha-256-128" }), "bad");
  assert.equal(bad({ coversTcpOptions: false }), "bad");
  assert.equal(bad({ sendId: 1, recvId: 101 }), "keyNotFound");
});

test("a wrong TCP checksum is found before TCP-AO (RFC 5925 section 7.3)", () => {
  const { alice, bob } = establishedPair();
  const packet = signedBy(alice, fromAlice.data());
  packet[20 + 17] = (packet[20 + 17] ?? 0) ^ 1;
  const verdict = bob.receive(packet);
  assert.ok(verdict.kind === "discarded" && verdict.reason === "malformed");
  assert.equal(verdict.refusal.code, "badTcpChecksum");
  assert.equal(bob.counters().bad, 0);
});

test("any flipped bit of a packet is refused by an endpoint, and the next good one passes", () => {
  const { alice, bob } = establishedPair();
  const packet = signedBy(alice, fromAlice.data());
  for (let bit = 0; bit < packet.length * 8; bit++) {
    const forged = packet.slice();
    forged[bit >>> 3] = (forged[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
    assert.equal(bob.receive(forged).kind, "discarded", `bit ${bit}`);
  }
  assert.equal(reason(bob.receive(packet)), "authenticated");
});

test("receive and send never throw, whatever the octets", () => {
  const { alice, bob } = establishedPair();
  const good = [fromAlice.syn(), fromAlice.data(), fromBob.synAck(), signedBy(alice, fromAlice.data())];
  const edits = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 6 });
  const mutated = fc.tuple(fc.constantFrom(...good), edits).map(([packet, changes]) => {
    const copy = packet.slice();
    for (const [at, octet] of changes) copy[at % copy.length] = octet;
    return copy;
  });
  const lenient = new TcpAoEndpoint({ crypto, validatesChecksum: false });
  lenient.addMkt(bobMkt(101, 1, "first key"));
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 100 })), (packet) => {
      for (const endpoint of [bob, lenient]) assert.ok(endpoint.receive(packet).kind);
      assert.ok(bob.send(packet).kind);
      if (!parseSegment(packet).ok) assert.equal(reason(lenient.receive(packet)), "malformed");
    }),
    { numRuns: 3000 },
  );
});

test("addresses of a connection are the endpoint's own copies", () => {
  const bob = new TcpAoEndpoint({ crypto });
  bob.addMkt(bobMkt(101, 1, "a"));
  const alice = new TcpAoEndpoint({ crypto });
  alice.addMkt(aliceMkt(1, 101, "a"));
  const packet = Buffer.from(signedBy(alice, fromAlice.syn()));
  assert.equal(reason(bob.receive(packet)), "authenticated");
  packet.fill(0);
  assert.equal(toHex(bob.connections()[0]?.pair.remoteAddress ?? hex("")), "0a000001");
  assert.equal(unwrap(parseSegment(signedBy(bob, fromBob.synAck()))).tcpAo?.keyId, 101);
});
