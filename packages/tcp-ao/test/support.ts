import { readFileSync } from "node:fs";
import { nodeTcpAoCrypto } from "../node/index.ts";
import {
  buildSegment,
  type MasterKeyTuple,
  parseAddress,
  peering,
  type SegmentFields,
  type SegmentKey,
  type SocketPair,
  TcpAoEndpoint,
} from "../src/index.ts";

export const crypto = nodeTcpAoCrypto;

export function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (octet) => Number.parseInt(octet, 16));
}

export function toHex(octets: Uint8Array): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

export function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`vectors/${name}`, import.meta.url), "utf8")) as T;
}

/** The value of a result that must be one. */
export function unwrap<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown },
): T {
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.error)}`);
  return result.value;
}

/** A BGP KEEPALIVE (RFC 4271 section 4.4). */
export const KEEPALIVE = hex("ffffffffffffffffffffffffffffffff001304");

export const ALICE = parseAddress("10.0.0.1");
export const BOB = parseAddress("10.0.0.2");
/** Alice opens to Bob's BGP port. */
export const ALICE_PAIR: SocketPair = { localAddress: ALICE, localPort: 40000, remoteAddress: BOB, remotePort: 179 };
export const BOB_PAIR: SocketPair = { localAddress: BOB, localPort: 179, remoteAddress: ALICE, remotePort: 40000 };

const ALICE_ISN = 0xfffffff0;
const BOB_ISN = 0x11223344;

type Numbers = Partial<Pick<SegmentFields, "sequenceNumber" | "acknowledgmentNumber" | "data" | "options">>;

/** Packets of the connection, each as its sender builds it, without TCP-AO. */
export const fromAlice = {
  syn: (fields: Numbers = {}) => packet("alice", { sequenceNumber: ALICE_ISN, flags: { syn: true }, ...fields }),
  data: (offset = 1, fields: Numbers = {}) =>
    packet("alice", {
      sequenceNumber: (ALICE_ISN + offset) >>> 0,
      flags: { ack: true, psh: true },
      data: KEEPALIVE,
      ...fields,
    }),
};
export const fromBob = {
  synAck: (fields: Numbers = {}) =>
    packet("bob", {
      sequenceNumber: BOB_ISN,
      acknowledgmentNumber: (ALICE_ISN + 1) >>> 0,
      flags: { syn: true, ack: true },
      ...fields,
    }),
  data: (offset = 1, fields: Numbers = {}) =>
    packet("bob", { sequenceNumber: BOB_ISN + offset, flags: { ack: true, psh: true }, data: KEEPALIVE, ...fields }),
};

function packet(
  sender: "alice" | "bob",
  fields: Pick<SegmentFields, "sequenceNumber" | "flags"> & Numbers,
): Uint8Array {
  const isAlice = sender === "alice";
  return buildSegment({
    sourceAddress: isAlice ? ALICE : BOB,
    destinationAddress: isAlice ? BOB : ALICE,
    sourcePort: isAlice ? 40000 : 179,
    destinationPort: isAlice ? 179 : 40000,
    ...fields,
  });
}

/** An MKT of Alice for her peering with Bob. */
export function aliceMkt(
  sendId: number,
  recvId: number,
  key: string,
  more: Partial<MasterKeyTuple> = {},
): MasterKeyTuple {
  return { ...mkt(key, more), sendId, recvId, connectionIdentifier: peering(ALICE, BOB, 179) };
}

/** The same MKT as Bob has it: SendID and RecvID change places. */
export function bobMkt(
  sendId: number,
  recvId: number,
  key: string,
  more: Partial<MasterKeyTuple> = {},
): MasterKeyTuple {
  return { ...mkt(key, more), sendId, recvId, connectionIdentifier: peering(BOB, ALICE, 179) };
}

function mkt(key: string, more: Partial<MasterKeyTuple>): Pick<MasterKeyTuple, "algorithm" | "masterKey"> {
  return { algorithm: "aes-128-cmac-96", masterKey: new TextEncoder().encode(key), ...more };
}

/** Passes a packet from one endpoint to the other, and returns the receiver's verdict. */
export function pass(from: TcpAoEndpoint, to: TcpAoEndpoint, bytes: Uint8Array) {
  const outgoing = from.send(bytes);
  if (outgoing.kind === "refused") throw new Error(`not sent: ${outgoing.reason}`);
  return to.receive(outgoing.packet);
}

/** Two endpoints with one key (Alice's SendID 1, Bob's 101) and a connection that Alice has opened. */
export function establishedPair(more: Partial<MasterKeyTuple> = {}) {
  const alice = new TcpAoEndpoint({ crypto });
  const bob = new TcpAoEndpoint({ crypto });
  const aliceKey = alice.addMkt(aliceMkt(1, 101, "first key", more));
  const bobKey = bob.addMkt(bobMkt(101, 1, "first key", more));
  const verdicts = [
    pass(alice, bob, fromAlice.syn()),
    pass(bob, alice, fromBob.synAck()),
    pass(alice, bob, fromAlice.data(1, { data: new Uint8Array() })),
  ];
  for (const verdict of verdicts) {
    if (verdict.kind !== "authenticated") throw new Error(`handshake: ${JSON.stringify(verdict)}`);
  }
  return { alice, bob, aliceKey, bobKey };
}

/** A key for tests of segments alone. */
export function segmentKey(algorithm: SegmentKey["algorithm"], coversTcpOptions = true): SegmentKey {
  const octets = { "hmac-sha-1-96": 20, "aes-128-cmac-96": 16, "hmac-sha-256-128": 32 }[algorithm];
  return { algorithm, coversTcpOptions, trafficKey: new Uint8Array(octets).fill(7) };
}
