import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeMessage, ExchangeType, encodeMessage, type IkeHeader, NotifyType } from "../../src/index.ts";
import { announcements, type Packet, Pair, type Router, saInitRequest, saInitResponse } from "./pair.ts";
import { addresses, peerOf } from "./peers.ts";

/** Everything about a router that a forged message must not change. */
function snapshot(router: Router): string {
  return JSON.stringify([router.endpoint.ikeSas(), router.events, router.endpoint.nextDeadline(), router.asked]);
}

function assertUnmoved(pair: Pair, act: () => void): void {
  const before = [snapshot(pair.a), snapshot(pair.b)];
  act();
  assert.deepEqual([snapshot(pair.a), snapshot(pair.b)], before);
}

test("an address that is no peer's gets no answer and leaves only a count", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  const { data } = pair.take();
  assertUnmoved(pair, () => {
    pair.input("b", { kind: "datagram", local: addresses.b, remote: { address: "192.0.2.9", port: 500 }, data });
  });
  assert.deepEqual(pair.wire, []);
  assert.equal(pair.b.endpoint.counters.unknownSource, 1);
});

test("our own IKE_SA_INIT request, relayed back, is refused", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  const { data } = pair.take(`a: ${saInitRequest}`);
  assertUnmoved(pair, () => {
    pair.input("a", { kind: "datagram", local: addresses.a, remote: addresses.b, data });
  });
  assert.deepEqual(pair.wire, []);
  assert.equal(pair.a.endpoint.counters.reflected, 1);
});

test("every message relayed back to its sender changes nothing", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  pair.inform("a", [{ kind: "freeze", seconds: 1 }]);
  pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
  while (pair.wire.length > 0) {
    const packet = pair.take();
    const { from, data } = packet;
    const [local, remote] = [addresses[from], addresses[from === "a" ? "b" : "a"]];
    const before = snapshot(pair.router(from));
    const waiting = pair.wire.length;
    pair.input(from, { kind: "datagram", local, remote, data });
    assert.equal(snapshot(pair.router(from)), before, packet.text);
    assert.equal(pair.wire.length, waiting);
    pair.deliver(packet);
  }
  pair.assertSameMkt(1);
});

test("an IKE_SA_INIT response that reflects our nonce or key exchange data is not believed", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  const request = pair.take();
  // The request's payloads as if they were the response
  const data = request.data.slice();
  data.set([1, 2, 3, 4, 5, 6, 7, 8], 8); // a responder's SPI
  data[19] = 0x20; // R
  pair.input("a", { kind: "datagram", local: addresses.a, remote: addresses.b, data });
  assert.deepEqual(pair.a.states, ["saInitSent"]);
  assert.deepEqual(pair.a.events, []);
  pair.deliver(request);
  pair.flush();
  pair.assertSameMkt(1);
});

test("an IKE_SA_INIT response with one of our own SPIs as the responder's is not believed", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  pair.step();
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  const response = pair.take(`b: ${saInitResponse}`);
  const data = response.data.slice();
  data.copyWithin(8, 0, 8);
  pair.deliver({ ...response, data });
  assert.deepEqual([pair.a.states, pair.wire], [["saInitSent"], []]);
  pair.deliver(response);
  pair.flush();
  pair.assertSameMkt(1);
});

test("a cookie that is not ours is ignored: a new one is sent (RFC 7296 section 2.6)", () => {
  const pair = new Pair({ settings: { cookieThreshold: 0 } });
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  pair.step();
  //                                <--  HDR(A,0), N(COOKIE)
  const cookie = pair.take("b: IKE_SA_INIT response {N(COOKIE)}");
  pair.deliver({ ...cookie, data: cookie.data.with(-1, (cookie.data.at(-1) ?? 0) ^ 1) });
  // HDR(A,0), N(COOKIE), SAi1, KEi, Ni  -->
  pair.step(`a: IKE_SA_INIT request {N(COOKIE), SA, KE, N, ${announcements}}`);
  assert.deepEqual(pair.b.states, []);
  //                                <--  HDR(A,0), N(COOKIE)
  pair.step("b: IKE_SA_INIT response {N(COOKIE)}");
  pair.flush();
  pair.assertSameMkt(1);
});

test("an IKE_SA_INIT response from another peer's address is not looked at", () => {
  const pair = new Pair();
  const third = { address: "10.0.0.3", port: 500 };
  pair.input("a", { kind: "configure", peers: [peerOf("a"), peerOf("a", { name: "c", remote: third })] });
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  pair.step();
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  const { data } = pair.take();
  pair.input("a", { kind: "datagram", local: addresses.a, remote: third, data });
  assert.deepEqual([pair.a.states, pair.wire], [["saInitSent"], []]);
});

test("an IKE_SA_INIT response with our own nonce is not believed", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  const request = pair.step();
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  const response = pair.take();
  const data = response.data.slice();
  const nonceOf = (octets: Uint8Array) => {
    const nonce = decodeMessage(octets).payloads.find((payload) => payload.kind === "Nonce");
    assert.ok(nonce?.kind === "Nonce");
    return nonce.data;
  };
  nonceOf(data).set(nonceOf(request.data));
  pair.deliver({ ...response, data });
  assert.deepEqual([pair.a.states, pair.wire], [["saInitSent"], []]);
  assert.equal(pair.a.endpoint.counters.reflected, 1);
});

test("forged IKE_SA_INIT responses do not end an attempt early (RFC 7296 section 2.21.1)", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  const request = pair.take();
  const { initiatorSpi } = headerOf(request);
  const header: IkeHeader = {
    initiatorSpi,
    responderSpi: 0n,
    majorVersion: 2,
    minorVersion: 0,
    exchangeType: ExchangeType.IKE_SA_INIT,
    isInitiator: false,
    isResponse: true,
    hasHigherVersion: false,
    messageId: 0,
  };
  for (const notifyType of [
    NotifyType.NO_PROPOSAL_CHOSEN,
    NotifyType.AUTHENTICATION_FAILED,
    NotifyType.INVALID_SYNTAX,
    8000,
  ]) {
    const data = encodeMessage(header, [
      { kind: "N", protocolId: 0, spi: new Uint8Array(0), notifyType, data: new Uint8Array(0) },
    ]);
    pair.input("a", { kind: "datagram", local: addresses.a, remote: addresses.b, data });
  }
  assert.deepEqual([pair.a.states, pair.wire], [["saInitSent"], []]);
  pair.deliver(request);
  pair.flush();
  pair.assertSameMkt(1);
});

test("an IKE_SA_INIT response with a bad key exchange value does not end the attempt (RFC 6989)", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  pair.step();
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  const response = pair.take(`b: ${saInitResponse}`);
  const data = response.data.slice();
  // KE payload: 4 + 4 octets, then 32 of X25519 all zero: the shared secret would be zero (RFC 7748 section 6.1)
  const offset = data.findIndex((octet, index) => octet === 0 && data[index + 1] === 40 && data[index + 3] === 31);
  assert.ok(offset > 0);
  data.fill(0, offset + 6, offset + 38);
  pair.deliver({ ...response, data });
  assert.deepEqual(pair.a.states, ["saInitSent"]);
  pair.deliver(response);
  pair.flush();
  pair.assertSameMkt(1);
});

test("an IKE_SA_INIT request that was changed on the way fails authentication (RFC 7296 section 2.15)", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  const request = pair.take();
  // The last octet of the Vendor ID, a downgrade to a peer that does not speak karp
  pair.deliver({ ...request, data: request.data.with(-1, (request.data.at(-1) ?? 0) ^ 1) });
  pair.flush();
  assert.equal(pair.a.last("mktFailed").failure.reason, "authenticationFailed");
  assert.deepEqual([pair.a.of("ikeSaEstablished"), pair.b.of("ikeSaEstablished")], [[], []]);
});

test("old protected messages are outside of the window (RFC 7296 section 2.3)", () => {
  const pair = Pair.established();
  const recorded: Packet[] = [];
  for (let count = 0; count < 3; count++) {
    pair.inform("a", [{ kind: "freeze", seconds: count }]);
    while (pair.wire.length > 0) recorded.push(pair.step());
  }
  const events = pair.b.events.length;
  for (const packet of recorded) pair.deliver(packet);
  // Only the last request is answered again
  assert.equal(pair.wire.length, 1);
  assert.equal(pair.b.events.length, events);
  assert.ok(pair.b.endpoint.counters.outsideWindow >= 2);
});

test("a protected message with any octet changed is dropped in silence", () => {
  const pair = Pair.established();
  pair.createMkt("a", 2, { rekeys: 1 });
  // HDR, SK {N(REKEY_SA), SA, Ni, TSi, TSr}  -->
  const request = pair.take();
  assertUnmoved(pair, () => {
    for (let index = 0; index < request.data.length; index++) {
      pair.deliver({ ...request, data: request.data.with(index, (request.data[index] ?? 0) ^ 0x41) });
    }
  });
  const spurious = pair.wire.filter(({ text }) => !text.includes("INVALID_MAJOR_VERSION"));
  assert.deepEqual(spurious, []);
  pair.wire.length = 0;
  pair.deliver(request);
  pair.flush();
  pair.assertSameMkt(2);
});

test("a major version that is too high is answered once in a while (RFC 7296 section 2.5)", () => {
  const pair = new Pair({ settings: { unprotectedErrorsPerSecond: 2 } });
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  const request = pair.take();
  const data = request.data.with(17, 0x30);
  for (let count = 0; count < 5; count++) pair.deliver({ ...request, data });
  assert.deepEqual(
    pair.wire.map(({ from, text }) => `${from}: ${text}`),
    Array(2).fill("b: IKE_SA_INIT response {N(INVALID_MAJOR_VERSION)}"),
  );
  assert.equal(pair.b.endpoint.counters.suppressedErrors, 3);
  // A response MUST NOT be answered (section 2.21.4)
  pair.wire.length = 0;
  pair.elapse(10, () => true);
  pair.wire.length = 0;
  pair.deliver({ ...request, data: data.with(19, 0x28) });
  assert.deepEqual(pair.wire, []);
});

test("a malformed request under the right keys: INVALID_SYNTAX, and the IKE SA is gone at both ends (section 2.21.3)", () => {
  const pair = Pair.established();
  pair.a.crypto.tamper = (plaintext) => {
    plaintext[3] = 3; // the first payload's length is less than its header
  };
  const requestId = pair.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step();
  //                                <--  HDR, SK {N(INVALID_SYNTAX)}
  pair.step("b: CREATE_CHILD_SA response {N(INVALID_SYNTAX)}");
  // IKE header 28, SK's 4, IV 8, then the Payload Length at octet 2
  assert.match(pair.b.logs.find(({ name }) => name === "protocolFault")?.detail ?? "", /octet 42\b/);
  assert.equal(pair.b.of("ikeSaClosed").length, 1);
  assert.deepEqual(pair.b.states, []);
  assert.equal(pair.a.last("mktFailed").requestId, requestId);
  assert.equal(pair.a.last("mktFailed").failure.notifyType, NotifyType.INVALID_SYNTAX);
  pair.flush();
  assert.deepEqual(pair.a.states, []);
});

test("a malformed IKE_AUTH request under the right keys: INVALID_SYNTAX, no IKE SA (section 2.21.2)", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  pair.step();
  pair.a.crypto.tamper = (plaintext) => {
    plaintext[3] = 3;
  };
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  pair.step();
  // HDR, SK {IDi, N(INITIAL_CONTACT), IDr, AUTH, SAi2, TSi, TSr}  -->
  pair.step();
  //                                <--  HDR, SK {N(INVALID_SYNTAX)}
  pair.step("b: IKE_AUTH response {N(INVALID_SYNTAX)}");
  assert.equal(pair.a.last("mktFailed").failure.notifyType, NotifyType.INVALID_SYNTAX);
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
  assert.deepEqual(pair.b.of("ikeSaEstablished"), []);
});

test("a critical payload that is not known: UNSUPPORTED_CRITICAL_PAYLOAD, the IKE SA stays (RFC 7296 section 2.5)", () => {
  const pair = Pair.established();
  pair.a.crypto.tamper = (plaintext) => {
    // SA, N, …: the second payload is of an unknown type, and critical
    const length = ((plaintext[2] ?? 0) << 8) | (plaintext[3] ?? 0);
    plaintext[0] = 200;
    plaintext[length + 1] = 0x80;
  };
  pair.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step();
  //                                <--  HDR, SK {N(UNSUPPORTED_CRITICAL_PAYLOAD)}
  pair.step("b: CREATE_CHILD_SA response {N(UNSUPPORTED_CRITICAL_PAYLOAD)}");
  assert.equal(pair.a.last("mktFailed").failure.notifyType, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD);
  assert.deepEqual([pair.a.states, pair.b.states], [["established"], ["established"]]);
});

test("a payload that is not known and not critical is skipped (RFC 7296 section 2.5)", () => {
  const pair = Pair.established();
  pair.a.crypto.tamper = (plaintext) => {
    plaintext[0] = 200;
  };
  pair.inform("a", [
    { kind: "freeze", seconds: 1 },
    { kind: "freeze", seconds: 2 },
  ]);
  // HDR, SK {payload 200, N(KMP_FREEZE)}  -->
  pair.step();
  //                                <--  HDR, SK {}
  pair.step("b: INFORMATIONAL response {}");
  assert.deepEqual(
    pair.b.of("freeze").map(({ seconds }) => seconds),
    [1],
  );
});

test("a malformed response under the right keys: the request fails and the IKE SA is deleted (section 2.21)", () => {
  const pair = Pair.established();
  pair.createMkt("a", 2);
  pair.b.crypto.tamper = (plaintext) => {
    plaintext[3] = 3;
  };
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  pair.step();
  //                                <--  HDR, SK {SA, Nr, TSi, TSr}
  pair.step();
  assert.equal(pair.a.last("mktFailed").failure.reason, "invalidResponse");
  // HDR, SK {D(IKE)}  -->
  pair.step("a: INFORMATIONAL request {D(IKE)}");
  pair.flush();
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
});

test("an IKE SA cannot be used before the peer is authenticated", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  pair.step();
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  pair.step();
  // b's side holds the keys, but has shown nothing: whatever it asks is dropped in silence
  // HDR, SK {IDi, N(INITIAL_CONTACT), IDr, AUTH, SAi2, TSi, TSr}  -->
  const auth = pair.take();
  assert.deepEqual(pair.a.states, ["authSent"]);
  assertUnmoved(pair, () => {
    const { data } = auth;
    pair.input("a", { kind: "datagram", local: addresses.a, remote: addresses.b, data: data.with(19, 0x00) });
  });
});

test("an MKT's IKE SA of another identity cannot rekey or delete it", () => {
  const pair = Pair.established();
  // b's policy is asked with the name of who asks; what an IKE SA owns is only what it made
  pair.a.endpoint = pair.a.fresh({ initialContact: false });
  pair.input("a", { kind: "configure", peers: [peerOf("a")] });
  pair.createMkt("a", 2, { rekeys: 1 });
  pair.flush();
  assert.equal(pair.b.policy.asked.at(-1)?.rekeys, undefined);
});

function headerOf(packet: Packet): { readonly initiatorSpi: bigint } {
  const { data } = packet;
  return { initiatorSpi: new DataView(data.buffer, data.byteOffset, 8).getBigUint64(0) };
}

test("a peer that does not wait for the answer that is held is not heard (RFC 7296 section 2.3)", () => {
  const pair = Pair.established();
  pair.b.commits = false;
  const { crypto } = pair.a;
  const seal = crypto.aeadSeal;
  let used: Parameters<typeof seal> | undefined;
  const spy: typeof seal = (cipher, key, nonce, associatedData, plaintext) => {
    used = [cipher, key.slice(), nonce.slice(), associatedData.slice(), plaintext.slice()];
    return seal(cipher, key, nonce, associatedData, plaintext);
  };
  Object.defineProperty(crypto, "aeadSeal", { value: spy });
  pair.createMkt("a", 2);
  // HDR, SK {SA, Ni, TSi, TSr}  -->
  const first = pair.step();
  assert.equal(pair.b.of("mktNegotiated").length, 2);
  // The same under the next Message ID, as a peer with a wider window would send it: SendID 2 again or another
  const [cipher, key, nonce, associatedData, plaintext] = used ?? assert.fail();
  const header = associatedData.slice();
  new DataView(header.buffer).setUint32(20, new DataView(header.buffer).getUint32(20) + 1);
  const iv = nonce.slice(4).with(0, 1);
  const sealed = seal(cipher, key, Uint8Array.of(...nonce.slice(0, 4), ...iv), header, plaintext);
  const eager: Packet = { ...first, data: Uint8Array.of(...header, ...iv, ...sealed) };
  assertUnmoved(pair, () => pair.deliver(eager));
  assert.equal(pair.b.endpoint.counters.outsideWindow, 1);
  // Once the answer is out, it is a request like any other
  const { commitId } = pair.b.last("mktNegotiated");
  assert.ok(commitId !== undefined);
  pair.b.commits = true;
  pair.input("b", { kind: "commit", commitId });
  pair.deliver(eager);
  assert.equal(pair.b.of("mktNegotiated").length, 3);
});
