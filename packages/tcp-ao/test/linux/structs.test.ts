import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeInfo,
  decodeKey,
  decodeKeyCount,
  encodeAdd,
  encodeDelete,
  encodeGetAll,
  encodeInfo,
  type KernelMkt,
  TCP_AO_GET_BYTES,
} from "../../linux/structs.ts";
import { hex, toHex } from "../support.ts";

/** Expected octets come from a C program that fills the structs of linux/tcp.h; |zN| stands for N zero octets. */
function octets(text: string): string {
  return text.replace(/\|z(\d+)\|/g, (_, count: string) => "00".repeat(Number(count)));
}

const KEY: KernelMkt = {
  peer: "10.0.0.2",
  sendId: 1,
  recvId: 2,
  algorithm: "hmac-sha-256-128",
  masterKey: hex("616263"),
};
const ADD = "020000000a000002|z120|686d61632873686132353629|z52|0403020103|z5|180102100303616263|z77|";
const DELETE = "0a|z7|fd|z14|02|z104|0700000003|z5|800102030401";
const INFO_SET = "17|z5|0506|z40|";
const INFO_GET = "17|z5|0506080706050403020102|z7|03|z7|04|z7|05|z7|";
const GET_REQUEST = "|z272|0900000004|z27|";
const GET =
  "020000000a000002|z120|636d61632861657331323829|z52|736563726574|z74|0100000003000102200c03060b000000010000000100000007|z7|";

test("struct tcp_ao_add has 288 octets, every field in its place", () => {
  const all = {
    ...KEY,
    prefixLength: 24,
    ifindex: 0x01020304,
    coversTcpOptions: false,
    setsCurrent: true,
    setsRnext: true,
  };
  assert.equal(toHex(encodeAdd(all, "ipv4")), octets(ADD));
  assert.equal(octets(ADD).length / 2, 288);
});

test("struct tcp_ao_add: what is left out takes the algorithm's MAC length, the whole address, and no flag", () => {
  const bytes = encodeAdd(KEY, "ipv4");
  assert.deepEqual([...bytes.subarray(192, 208)], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 1, 2, 16, 0, 3]);
  assert.equal(encodeAdd({ ...KEY, algorithm: "aes-128-cmac-96" }, "ipv4")[205], 12);
  assert.equal(encodeAdd({ ...KEY, macLengthBytes: 12 }, "ipv4")[205], 12);
  assert.equal(encodeAdd({ ...KEY, ifindex: 3 }, "ipv4")[206], 1);
  assert.equal(encodeAdd({ ...KEY, coversTcpOptions: false }, "ipv4")[206], 2);
  assert.equal(encodeAdd({ ...KEY, setsCurrent: true }, "ipv4")[196], 1);
  assert.equal(encodeAdd({ ...KEY, setsRnext: true }, "ipv4")[196], 2);
});

test("struct tcp_ao_add: an IPv4 peer of an IPv6 socket is a mapped address with a prefix of 32", () => {
  const bytes = encodeAdd(KEY, "ipv6");
  assert.equal(toHex(bytes.subarray(0, 28)), `0a00${"00".repeat(6)}${"00".repeat(10)}ffff0a00000200000000`);
  assert.equal(bytes[202], 32);
  assert.equal(encodeAdd({ ...KEY, peer: "fd00::2" }, "ipv6")[202], 128);
  assert.equal(encodeAdd({ ...KEY, peer: "::ffff:10.0.0.2" }, "ipv6")[202], 32);
});

test("struct tcp_ao_del has 144 octets, every field in its place", () => {
  const bytes = encodeDelete({ peer: "fd00::2", ifindex: 7, sendId: 1, recvId: 2, newCurrent: 3, newRnext: 4 }, "ipv6");
  assert.equal(toHex(bytes), octets(DELETE));
  assert.equal(bytes.length, 144);
  assert.deepEqual(
    [...encodeDelete({ peer: "10.0.0.2", sendId: 1, recvId: 2 }, "ipv4").subarray(128)],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 1, 2, 0, 0, 0],
  );
  // KeyID 0 is as good as any other
  assert.equal(encodeDelete({ peer: "10.0.0.2", sendId: 1, recvId: 2, newCurrent: 0 }, "ipv4")[132], 1);
});

test("struct tcp_ao_info_opt has 48 octets, every field in its place", () => {
  const bytes = encodeInfo({ currentKey: 5, rnextKey: 6, isRequired: true, acceptsIcmps: true });
  assert.equal(toHex(bytes), octets(INFO_SET));
  assert.equal(bytes.length, 48);
  assert.equal(encodeInfo({ isRequired: false, acceptsIcmps: false })[0], 0);
  assert.equal(encodeInfo({ isRequired: true, acceptsIcmps: false })[0], 4);
  assert.equal(encodeInfo({ isRequired: false, acceptsIcmps: true })[0], 16);
  assert.deepEqual(decodeInfo(hex(octets(INFO_GET))), {
    currentKey: 5,
    rnextKey: 6,
    isRequired: true,
    acceptsIcmps: true,
    counters: { good: 0x0102030405060708n, bad: 2n, keyNotFound: 3n, required: 4n, droppedIcmps: 5n },
  });
});

test("struct tcp_ao_info_opt: absent is not zero", () => {
  const info = decodeInfo(new Uint8Array(48));
  assert.deepEqual(Object.keys(info), ["isRequired", "acceptsIcmps", "counters"]);
});

test("struct tcp_ao_getsockopt has 304 octets, every field in its place", () => {
  assert.equal(toHex(encodeGetAll(9).subarray(0, TCP_AO_GET_BYTES)), octets(GET_REQUEST));
  assert.equal(encodeGetAll(9).length, 9 * 304);
  const answer = hex(octets(GET));
  assert.equal(answer.length, 304);
  assert.equal(decodeKeyCount(answer), 1);
  assert.deepEqual(decodeKey(answer), {
    peer: "10.0.0.2",
    prefixLength: 32,
    sendId: 1,
    recvId: 2,
    ifindex: 11,
    algorithm: "aes-128-cmac-96",
    algorithmName: "cmac(aes128)",
    macLengthBytes: 12,
    keyLengthBytes: 6,
    coversTcpOptions: false,
    isCurrent: true,
    isRnext: true,
    good: 0x100000001n,
    bad: 7n,
  });
});

test("a key that is read has no key material in it", () => {
  const text = JSON.stringify(decodeKey(hex(octets(GET))), (_, value) =>
    typeof value === "bigint" ? String(value) : value,
  );
  assert.doesNotMatch(text, /secret|736563726574|115,101/);
});

test("an algorithm that is not known here is named, not guessed", () => {
  const answer = hex(octets(GET));
  answer.set(new TextEncoder().encode("hmac(sha512)"), 128);
  const { algorithm, algorithmName } = decodeKey(answer);
  assert.deepEqual([algorithm, algorithmName], [undefined, "hmac(sha512)"]);
});
