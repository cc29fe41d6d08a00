import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LinuxTcpAoError } from "../../linux/errors.ts";
import { decodeSocket, encodeDestroy, encodeDump, type KernelSocket } from "../../linux/inetDiag.ts";
import {
  decodeAttributes,
  decodeErrno,
  decodeMessages,
  encodeMessage,
  NLMSG_DONE,
  NLMSG_ERROR,
} from "../../linux/netlink.ts";
import { hex, toHex } from "../support.ts";

const isMalformed = (error: unknown): boolean => error instanceof LinuxTcpAoError && error.code === "malformedAnswer";

/** Octets are written down from linux/netlink.h and linux/inet_diag.h; |zN| stands for N zero octets. */
function octets(text: string): Uint8Array {
  return hex(text.replace(/\|z(\d+)\|/g, (_, count: string) => "00".repeat(Number(count))));
}

const LISTENER = "0a0a000000b3|z2||z16||z16|00000000290000000000000000000000|z4||z4|e803000017000000";
const V6ONLY = "05000b0001000000";
const MAPPED_V4 = "00000000000000000000ffff";

test("a dump asks for one family, TCP, and states without CLOSE and TIME_WAIT", () => {
  const request = encodeDump("ipv6", { local: 179, remote: 0 }, 7);
  assert.equal(
    toHex(request),
    toHex(octets("48000000140001030700000000000000" + "0a060000" + "3e0f0000" + "00b3|z46|")),
  );
  const other = encodeDump("ipv4", { local: 0, remote: 646 }, 1);
  assert.deepEqual([other[16], toHex(other.subarray(24, 28))], [2, "00000286"]);
  assert.equal(encodeDump("ipv4", { local: 0, remote: 646 }, 1, true)[18], 2);
});

test("SOCK_DESTROY names the socket by addresses, device and cookie", () => {
  const socket: KernelSocket = {
    domain: "ipv6",
    state: "established",
    localAddress: "10.0.0.1",
    localPort: 179,
    remoteAddress: "10.0.0.2",
    remotePort: 40_000,
    interfaceIndex: 5,
    inode: 1,
    cookie: 0x0102030405060708n,
    uid: 0,
  };
  const header = "48000000150005000900000000000000";
  const body = `0a0600003e0f0000${"00b39c40"}${MAPPED_V4}0a000001${MAPPED_V4}0a000002${"05000000"}0807060504030201`;
  assert.equal(toHex(encodeDestroy(socket, 9)), header + body);
  const plain = encodeDestroy({ ...socket, domain: "ipv4" }, 9);
  assert.equal(toHex(plain.subarray(16 + 12, 16 + 32)), `0a000001${"00".repeat(12)}0a000002`);
});

test("a listener of the kernel's answer: every field in its place", () => {
  assert.deepEqual(decodeSocket(octets(LISTENER + V6ONLY)), {
    domain: "ipv6",
    state: "listen",
    localAddress: "::",
    localPort: 179,
    remoteAddress: "::",
    remotePort: 0,
    interfaceIndex: 0,
    inode: 23,
    cookie: 41n,
    uid: 1000,
    isIpv6Only: true,
  });
  assert.equal(decodeSocket(octets(LISTENER))?.isIpv6Only, undefined);
});

test("a mapped address is shown as IPv4, and encodes to itself", () => {
  const answer = octets(
    `0a010000${"00b39c40"}${MAPPED_V4}0a000001${MAPPED_V4}0a000002${"05000000"}0807060504030201|z12|00000000ffffffff`,
  );
  const socket = decodeSocket(answer);
  assert.ok(socket);
  assert.deepEqual([socket.domain, socket.localAddress, socket.remoteAddress], ["ipv6", "10.0.0.1", "10.0.0.2"]);
  assert.deepEqual([socket.interfaceIndex, socket.cookie, socket.inode], [5, 0x0102030405060708n, 0xffff_ffff]);
  assert.equal(toHex(encodeDestroy(socket, 1).subarray(24, 72)), toHex(answer.subarray(4, 52)));
});

test("a socket with TCP MD5 keys: for whom, and the octets of the keys are overwritten where they stand", () => {
  const secret = "736563726574";
  const entry = (family: string, bits: string, address: string): string =>
    `${family}${bits}0600${address}${secret}${"00".repeat(74)}`;
  const entries = entry("02", "20", `0a000002${"00".repeat(12)}`) + entry("0a", "40", `20010db8${"00".repeat(12)}`);
  const answer = octets(`${LISTENER}cc001200${entries}`);
  assert.deepEqual(decodeSocket(answer)?.md5Peers, [
    { address: "10.0.0.2", prefixLength: 32 },
    { address: "2001:db8::", prefixLength: 64 },
  ]);
  assert.ok(!toHex(answer).includes(secret));
  assert.throws(() => decodeSocket(octets(`${LISTENER}cb001200${entries}`)), isMalformed);
  assert.equal(decodeSocket(octets(`${LISTENER}04001200`))?.md5Peers, undefined);
});

test("states: each TCP state of a living socket has a word, others are left out", () => {
  const words = Array.from({ length: 14 }, (_, state) => {
    const answer = octets(LISTENER);
    answer[1] = state;
    return decodeSocket(answer)?.state;
  });
  const [closing, none] = ["closing", undefined];
  assert.deepEqual(words, [
    ...[none, "established", "syn-sent", "syn-received", closing, closing, none, none, closing, closing],
    ...["listen", closing, none, none],
  ]);
});

test("messages and attributes whose lengths lie are malformed, and nothing is read outside", () => {
  const message = encodeMessage({ type: 20, flags: 2, sequence: 3, payload: Uint8Array.of(1, 2, 3) });
  const padded = new Uint8Array(20);
  padded.set(message);
  const two = Uint8Array.from([...padded, ...message]);
  assert.deepEqual(
    decodeMessages(two).map(({ payload, sequence }) => [...payload, sequence]),
    [
      [1, 2, 3, 3],
      [1, 2, 3, 3],
    ],
  );
  for (const length of [0, 15, 21, 0xffff_ffff]) {
    const lying = padded.slice();
    new DataView(lying.buffer).setUint32(0, length, true);
    assert.throws(() => decodeMessages(lying), isMalformed, String(length));
  }
  assert.throws(() => decodeMessages(padded.subarray(0, 7)), isMalformed);
  for (const bad of ["04", "0300010000000000", "0900010000000000", "ffff0100"]) {
    assert.throws(() => decodeAttributes(hex(bad)), isMalformed, bad);
  }
  assert.deepEqual([...(decodeAttributes(hex("05000b8001000000")).get(11) ?? [])], [1], "flags of the type are not it");
});

test("errors: the number is negative; zero acknowledges; a short or positive one is malformed", () => {
  const error = (payload: string, type = NLMSG_ERROR) =>
    decodeErrno({ type, flags: 0, sequence: 1, payload: hex(payload) });
  assert.equal(error(`feffffff${"00".repeat(16)}`), 2);
  assert.equal(error("00000000"), 0);
  assert.equal(error("", NLMSG_DONE), 0);
  assert.equal(error("feffffff", NLMSG_DONE), 2);
  assert.throws(() => error(""), isMalformed);
  assert.throws(() => error("feff"), isMalformed);
  assert.throws(() => error("02000000"), isMalformed);
});

test("whatever comes, the parsers end with an answer or malformedAnswer", () => {
  const parsers = [
    (bytes: Uint8Array) => decodeMessages(bytes),
    (bytes: Uint8Array) => decodeAttributes(bytes),
    (bytes: Uint8Array) => decodeSocket(bytes),
    (bytes: Uint8Array) => decodeSocket(Uint8Array.from([...octets(LISTENER), ...bytes])),
  ];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(parsers.length - 1), (bytes, index) => {
      try {
        parsers[index]?.(bytes);
      } catch (error) {
        assert.ok(isMalformed(error), String(error));
      }
    }),
  );
});
