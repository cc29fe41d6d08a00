import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { Secret, type UnixMilliseconds } from "@karp/ikev2";
import { keyFingerprint } from "../../src/core/keytable/fingerprint.ts";
import { KeyIdSpace } from "../../src/core/keytable/keyIds.ts";
import type { KeyTableRow } from "../../src/core/keytable/row.ts";
import { selectForReceiving, selectForSending } from "../../src/core/keytable/select.ts";
import { withSendLifetime } from "../../src/core/keytable/sendLifetime.ts";
import { formatKeyName, formatKeyTableRow } from "../../src/core/keytable/text.ts";
import { keyTableViews } from "../../src/core/keytable/view.ts";
import { formatKeyTableTime, formatRfc3339, minuteOfDay } from "../../src/core/time.ts";

const at = (text: string): UnixMilliseconds => Date.parse(text) as UnixMilliseconds;
const now = at("2026-11-21T12:00:00Z");

function row(change: Partial<KeyTableRow>): KeyTableRow {
  return {
    adminKeyName: "r/0000000000000001",
    session: "r",
    recvId: 61,
    sendId: 7,
    peers: ["10.0.0.2"],
    interfaces: "all",
    protocol: "TCP-AO",
    protocolSpecificInfo: {
      routingProtocol: "bgp",
      port: 179,
      localAddress: "10.0.0.1",
      remoteAddress: "10.0.0.2",
      coversTcpOptions: true,
    },
    algorithm: "aes-128-cmac-96",
    key: new Secret(Uint8Array.from({ length: 16 }, (_, index) => index)),
    direction: "both",
    sendLifetimeStart: at("2026-11-21T10:00:00Z"),
    acceptLifetimeStart: at("2026-11-21T09:00:00Z"),
    state: "current",
    createdBy: "ike",
    localIdentity: "a",
    peerIdentity: "b",
    credentialFingerprint: "psk:x",
    generation: 1,
    history: {},
    peerState: 0,
    peerReason: "",
    toldState: 0,
    ...change,
  };
}

const lookup = { peer: "10.0.0.2", protocol: "TCP-AO" };

test("of the rows that fit, the one with the most recent SendLifetimeStart sends (RFC 7210 section 3)", () => {
  const old = row({});
  const newer = row({ sendLifetimeStart: at("2026-11-21T11:00:00Z") });
  const future = row({ sendLifetimeStart: at("2026-11-21T13:00:00Z") });
  assert.equal(selectForSending([newer, old, future], lookup, now), newer);
});

test("each of the five conditions for sending can keep a row out (RFC 7210 section 3)", () => {
  const out: readonly Partial<KeyTableRow>[] = [
    { peers: ["10.0.0.3"] },
    { protocol: "other" },
    { direction: "in" },
    { direction: "disabled" },
    { sendLifetimeStart: at("2026-11-21T12:00:01Z") },
    { sendLifetimeEnd: at("2026-11-21T11:59:59Z") },
  ];
  for (const change of out)
    assert.equal(selectForSending([row(change)], lookup, now), undefined, JSON.stringify(change));
  const { sendLifetimeStart: _none, ...neverSends } = row({});
  assert.equal(selectForSending([neverSends], lookup, now), undefined);
  const bound = row({ interfaces: "eth1" });
  assert.equal(selectForSending([bound], { ...lookup, interface: "eth2" }, now), undefined);
  assert.equal(selectForSending([bound], { ...lookup, interface: "eth1" }, now), bound);
});

test("a received key is found by LocalKeyName within its accept lifetime (RFC 7210 section 3)", () => {
  const good = row({});
  assert.equal(selectForReceiving([good], lookup, 61, now), good);
  assert.equal(selectForReceiving([good], lookup, 7, now), undefined);
  assert.equal(
    selectForReceiving([row({ acceptLifetimeEnd: at("2026-11-21T11:00:00Z") })], lookup, 61, now),
    undefined,
  );
  assert.equal(selectForReceiving([row({ direction: "out" })], lookup, 61, now), undefined);
  const { key: _key, ...tombstone } = row({});
  assert.equal(selectForReceiving([tombstone], lookup, 61, now), undefined);
});

test("key names are two lowercase hex digits, times YYYYMMDDHHMMSSZ (RFC 7210 sections 2 and 5.1)", () => {
  assert.equal(formatKeyName(61), "3d");
  assert.equal(formatKeyName(0), "00");
  assert.equal(formatKeyTableTime(at("2026-11-21T09:08:07Z")), "20261121090807Z");
  const text = formatKeyTableRow(row({}), { revealsKey: false });
  assert.match(text, /^LocalKeyName: 3d$/m);
  assert.match(text, /^PeerKeyName: 07$/m);
  assert.match(text, /^KDF: AES-128-CMAC$/m);
  assert.match(text, /^AcceptLifeTimeStart: 20261121090000Z$/m);
});

test("each row says what the two lookups make of it now; tombstones are no rows (RFC 7210 section 3)", () => {
  const old = row({ adminKeyName: "r/1", recvId: 1, sendId: 11, sendLifetimeEnd: at("2026-11-21T11:30:00Z") });
  const current = row({ adminKeyName: "r/2", recvId: 2, sendId: 12, sendLifetimeStart: at("2026-11-21T11:00:00Z") });
  const { sendLifetimeStart: _start, ...waiting } = row({ adminKeyName: "r/3", recvId: 3, sendId: 13 });
  const next = { ...waiting, acceptLifetimeStart: at("2026-11-21T12:00:01Z") };
  const { key: _key, ...tombstone } = row({ adminKeyName: "r/4", recvId: 4, sendId: 14 });
  const views = keyTableViews([old, current, next, tombstone], now);
  assert.deepEqual(
    views.map(({ adminKeyName, isForSending, isForReceiving }) => [adminKeyName, isForSending, isForReceiving]),
    [
      ["r/1", false, true],
      ["r/2", true, true],
      ["r/3", false, false],
    ],
  );
  assert.match(views[1]?.row ?? "", /^LocalKeyName: 02\nPeerKeyName: 0c$/m);
  assert.doesNotMatch(JSON.stringify(views), /000102/);
});

test("the key of a row appears in hex only where it is asked for (RFC 7210 section 5.2)", () => {
  assert.doesNotMatch(formatKeyTableRow(row({}), { revealsKey: false }), /000102/);
  assert.match(formatKeyTableRow(row({}), { revealsKey: true }), /^Key: 000102030405060708090a0b0c0d0e0f$/m);
});

test("calendar arithmetic agrees with the platform's over four centuries", () => {
  for (let day = -10_000; day < 140_000; day += 17) {
    const moment = (day * 86_400_000 + (day % 86_399) * 1000 + 123) as UnixMilliseconds;
    assert.equal(formatRfc3339(moment), new Date(moment).toISOString());
    assert.equal(minuteOfDay(moment), new Date(moment).getUTCHours() * 60 + new Date(moment).getUTCMinutes());
  }
});

test("a fingerprint is 8 octets of SHA-256 over a label and the key", () => {
  const digest = (_: string, ...data: readonly Uint8Array[]): Uint8Array =>
    new Uint8Array(createHash("sha256").update(Buffer.concat(data)).digest());
  const expected = createHash("sha256")
    .update(Buffer.concat([Buffer.from("karp mkt\0"), Buffer.from([1, 2, 3])]))
    .digest("hex");
  assert.equal(keyFingerprint({ digest }, new Secret(Uint8Array.of(1, 2, 3))), expected.slice(0, 16));
});

test("KeyIDs: never used ones first, then the least recently retired; none at 256", () => {
  const space = new KeyIdSpace<string>();
  const none = (): boolean => false;
  const taken: number[] = [];
  for (let count = 0; count < 256; count++) {
    const id = space.choose(none);
    assert.ok(id !== undefined && !taken.includes(id));
    space.take(id, `owner ${id}`);
    taken.push(id);
  }
  assert.equal(space.choose(none), undefined);
  for (const id of [9, 3, 200]) space.release(id, `owner ${id}`);
  assert.equal(space.choose(none), 9);
  assert.equal(
    space.choose((id) => id === 9),
    3,
  );
  space.release(5, "somebody else");
  assert.equal(space.owner(5), "owner 5");
});

test("a row may be sent with from when its MKT is preferred until it retires, and not in between (RFC 7210 section 2)", () => {
  const { sendLifetimeStart: _start, ...held } = row({});
  const times = (of: KeyTableRow): readonly unknown[] => [of.sendLifetimeStart, of.sendLifetimeEnd];
  const step = (before: KeyTableRow, state: KeyTableRow["state"], seconds: number): KeyTableRow =>
    withSendLifetime(before, state, (now + seconds * 1000) as UnixMilliseconds);
  const preferred = step(held, "preferred", 1);
  assert.deepEqual(times(preferred), [now + 1000, undefined]);
  const current = step(preferred, "current", 2);
  assert.deepEqual(times(current), [now + 1000, undefined]);
  const retiring = step(current, "retiring", 3);
  assert.deepEqual(times(retiring), [now + 1000, now + 3000]);
  assert.deepEqual(times(step(retiring, "removed", 4)), [now + 1000, now + 3000]);
  assert.deepEqual(times(step(retiring, "current", 5)), [now + 5000, undefined], "brought back");
  assert.deepEqual(times(step(preferred, "installed", 6)), [undefined, undefined], "withdrawn");
});
