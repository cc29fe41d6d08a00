import assert from "node:assert/strict";
import { test } from "node:test";
import { MalformedMessage, PeerIncompatible, PeerMisbehaved, UsageError } from "../../src/bytes/errors.ts";
import { hex, unhex } from "../../src/bytes/hex.ts";
import { encodePayloads } from "../../src/codec/codec.ts";
import type { NotifyPayload } from "../../src/codec/message.ts";
import {
  decodeChildSaNotFound,
  decodeRekeySa,
  encodeChildSaNotFound,
  encodeRekeySa,
} from "../../src/codec/notifies/childSa.ts";
import { decodeCookie, encodeCookie } from "../../src/codec/notifies/cookie.ts";
import { decodeFreeze, encodeFreeze } from "../../src/codec/notifies/freeze.ts";
import { decodeInvalidKePayload, encodeInvalidKePayload } from "../../src/codec/notifies/invalidKePayload.ts";
import {
  decodeKeyIdInUse,
  decodeKeyIdsTaken,
  encodeKeyIdInUse,
  encodeKeyIdsTaken,
} from "../../src/codec/notifies/keyIds.ts";
import { decodeKeyLifetime, encodeKeyLifetime } from "../../src/codec/notifies/keyLifetime.ts";
import { decodeKeyState, encodeKeyState } from "../../src/codec/notifies/keyState.ts";
import { encodeFaultNotify, encodePlainNotify } from "../../src/codec/notifies/notify.ts";
import {
  decodeSignatureHashAlgorithms,
  encodeSignatureHashAlgorithms,
} from "../../src/codec/notifies/signatureHashAlgorithms.ts";
import { KeyState } from "../../src/registry/keyState.ts";
import { NotifyType } from "../../src/registry/notifyType.ts";

const bitmap = new Uint8Array(32).with(0, 0x01).with(31, 0x80);
const childSa = { protocolId: 201, spi: unhex("3d") };

/** Name, the notify, its octets behind the generic header, what decodes it, and what comes out. */
const samples: readonly (readonly [string, NotifyPayload, string, (notify: NotifyPayload) => unknown, unknown])[] = [
  ["COOKIE (RFC 7296 section 2.6)", encodeCookie(unhex("c0")), "00004006c0", decodeCookie, unhex("c0")],
  ["INVALID_KE_PAYLOAD (RFC 7296 section 1.3)", encodeInvalidKePayload(31), "00000011001f", decodeInvalidKePayload, 31],
  [
    "SIGNATURE_HASH_ALGORITHMS (RFC 7427 section 4)",
    encodeSignatureHashAlgorithms([2, 5, 1024]),
    "0000402f000200050400",
    decodeSignatureHashAlgorithms,
    [2, 5, 1024],
  ],
  ["REKEY_SA (RFC 7296 section 1.3.3)", encodeRekeySa(childSa), "c90140093d", decodeRekeySa, childSa],
  [
    "CHILD_SA_NOT_FOUND (RFC 7296 section 2.25)",
    encodeChildSaNotFound(childSa),
    "c901002c3d",
    decodeChildSaNotFound,
    childSa,
  ],
  [
    "KMP_KEY_STATE",
    encodeKeyState({ sendId: 61, state: KeyState.failed, reason: "no é" }),
    "c901be033d046e6f20c3a9",
    decodeKeyState,
    { sendId: 61, state: 4, reason: "no é" },
  ],
  [
    "KMP_KEY_STATE, a state to come and no reason",
    encodeKeyState({ sendId: 0, state: 255, reason: "" }),
    "c901be0300ff",
    decodeKeyState,
    { sendId: 0, state: 255, reason: "" },
  ],
  ["KMP_KEYIDS_TAKEN", encodeKeyIdsTaken(bitmap), `0000be0501${"00".repeat(30)}80`, decodeKeyIdsTaken, bitmap],
  ["KEYID_IN_USE", encodeKeyIdInUse(bitmap), `0000230001${"00".repeat(30)}80`, decodeKeyIdInUse, bitmap],
  [
    "KMP_KEY_LIFETIME",
    encodeKeyLifetime({ softSeconds: 2592000, hardSeconds: 0xffffffff }),
    "0000be0200278d00ffffffff",
    decodeKeyLifetime,
    { softSeconds: 2592000, hardSeconds: 0xffffffff },
  ],
  ["KMP_FREEZE", encodeFreeze(86400), "0000be0600015180", decodeFreeze, 86400],
];

for (const [name, notify, body, decode, value] of samples) {
  test(`${name} both ways`, () => {
    assert.equal(hex(encodePayloads([notify]).bytes.subarray(4)), body);
    assert.deepEqual(decode(notify), value);
    assert.throws(() => decode({ ...notify, notifyType: notify.notifyType + 1 }), UsageError);
  });
}

const plain = encodePlainNotify;
const keyState = (data: string, change: Partial<NotifyPayload> = {}): NotifyPayload => ({
  ...encodeKeyState({ sendId: 61, state: 1, reason: "" }),
  data: unhex(data),
  ...change,
});

const refused: readonly (readonly [
  what: string,
  decode: () => unknown,
  code: string,
  field: string,
  offset: number,
])[] = [
  ["a cookie of no octets", () => decodeCookie(plain(NotifyType.COOKIE)), "badLength", "COOKIE", 0],
  ["a cookie of 65 octets", () => decodeCookie(plain(NotifyType.COOKIE, new Uint8Array(65))), "badLength", "COOKIE", 0],
  [
    "INVALID_KE_PAYLOAD of 1 octet",
    () => decodeInvalidKePayload(plain(NotifyType.INVALID_KE_PAYLOAD, unhex("1f"))),
    "truncated",
    "INVALID_KE_PAYLOAD Key Exchange Method",
    0,
  ],
  [
    "INVALID_KE_PAYLOAD of 3 octets",
    () => decodeInvalidKePayload(plain(NotifyType.INVALID_KE_PAYLOAD, unhex("001f00"))),
    "trailingOctets",
    "INVALID_KE_PAYLOAD",
    2,
  ],
  [
    "half a hash algorithm",
    () => decodeSignatureHashAlgorithms(plain(NotifyType.SIGNATURE_HASH_ALGORITHMS, unhex("000200"))),
    "truncated",
    "SIGNATURE_HASH_ALGORITHMS Hash Algorithm",
    2,
  ],
  ["REKEY_SA of nothing", () => decodeRekeySa(plain(NotifyType.REKEY_SA)), "badLength", "N SPI", 0],
  ["a key state without SendID", () => decodeKeyState(keyState("01", { spi: unhex("") })), "badValue", "N SPI", 0],
  ["a key state of ESP", () => decodeKeyState(keyState("01", { protocolId: 3 })), "badValue", "N SPI", 0],
  ["a key state without state", () => decodeKeyState(keyState("")), "truncated", "KMP_KEY_STATE State", 0],
  [
    "a reason of 65 octets",
    () => decodeKeyState(keyState(`01${"61".repeat(65)}`)),
    "badLength",
    "KMP_KEY_STATE Reason",
    1,
  ],
  ["a reason that is not UTF-8", () => decodeKeyState(keyState("0161ff")), "badValue", "KMP_KEY_STATE Reason", 1],
  [
    "a bitmap of 31 octets",
    () => decodeKeyIdsTaken(plain(NotifyType.KMP_KEYIDS_TAKEN, new Uint8Array(31))),
    "truncated",
    "KMP_KEYIDS_TAKEN bitmap",
    0,
  ],
  [
    "a bitmap of 33 octets",
    () => decodeKeyIdInUse(plain(NotifyType.KEYID_IN_USE, new Uint8Array(33))),
    "trailingOctets",
    "KEYID_IN_USE bitmap",
    32,
  ],
  [
    "lifetimes of 7 octets",
    () => decodeKeyLifetime(plain(NotifyType.KMP_KEY_LIFETIME, new Uint8Array(7))),
    "truncated",
    "KMP_KEY_LIFETIME hard",
    4,
  ],
  [
    "a freeze of 5 octets",
    () => decodeFreeze(plain(NotifyType.KMP_FREEZE, new Uint8Array(5))),
    "trailingOctets",
    "KMP_FREEZE",
    4,
  ],
];

for (const [what, decode, code, field, offset] of refused) {
  test(`refused: ${what}`, () => {
    assert.throws(decode, (error) => {
      assert.ok(error instanceof MalformedMessage, String(error));
      assert.deepEqual([error.code, error.field, error.offset], [code, field, offset]);
      return true;
    });
  });
}

test("the longest cookie has 64 octets (RFC 7296 section 2.6)", () => {
  assert.equal(decodeCookie(encodeCookie(new Uint8Array(64))).length, 64);
});

test("a reason is cut at a character, at 64 octets", () => {
  const reasonOf = (reason: string) => decodeKeyState(encodeKeyState({ sendId: 1, state: 4, reason })).reason;
  assert.equal(reasonOf("x".repeat(64)), "x".repeat(64));
  assert.equal(reasonOf("x".repeat(65)), "x".repeat(64));
  assert.equal(reasonOf(`${"x".repeat(63)}é`), "x".repeat(63));
  assert.equal(reasonOf(`${"x".repeat(61)}鍵!`), `${"x".repeat(61)}鍵`);
  assert.equal(reasonOf(`${"x".repeat(62)}🔑`), "x".repeat(62));
  assert.equal(reasonOf(`${"x".repeat(63)}🔑`), "x".repeat(63));
  assert.equal(reasonOf("🔑".repeat(40)), "🔑".repeat(16));
});

test("our own mistakes are told to the caller", () => {
  const mistakes = [
    () => encodeCookie(new Uint8Array(0)),
    () => encodeCookie(new Uint8Array(65)),
    () => encodeInvalidKePayload(65536),
    () => encodeRekeySa({ protocolId: 201, spi: unhex("") }),
    () => encodeKeyState({ sendId: 256, state: 1, reason: "" }),
    () => encodeKeyState({ sendId: 1, state: -1, reason: "" }),
    () => encodeKeyIdsTaken(new Uint8Array(31)),
    () => encodeFreeze(2 ** 32),
    () => encodeKeyLifetime({ softSeconds: 0.5, hardSeconds: 1 }),
  ];
  for (const mistake of mistakes) {
    assert.throws(mistake, UsageError);
  }
});

test("a fault becomes the notify that answers it", () => {
  const section = "RFC 7296 section 2.5";
  const critical = new PeerIncompatible({
    code: "x",
    section,
    detail: "x",
    notifyType: NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD,
    notifyData: unhex("c8"),
  });
  assert.equal(hex(encodePayloads([encodeFaultNotify(critical) ?? assert.fail()]).bytes), "0000000900000001c8");
  assert.equal(encodeFaultNotify(new PeerMisbehaved({ code: "x", section, detail: "x" })), undefined);
});
