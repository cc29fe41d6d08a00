/** A look at a peer that leaves nothing behind there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeCryptoProvider } from "../../node/index.ts";
import {
  decodeMessage,
  EncryptionAlgorithm,
  type EngineSettings,
  encodeMessage,
  encodeSaInitProbe,
  type IkeSuite,
  NotifyType,
  newSaInitProbe,
  readSaInitProbeAnswer,
  type SaInitProbe,
  type SaInitProbeAnswer,
} from "../../src/index.ts";
import { Pair } from "./pair.ts";
import { aesGcm, peerOf } from "./peers.ts";

const crypto = new NodeCryptoProvider();

/** What b answers to the probe from a's address, at another port. */
function asked(pair: Pair, probe: SaInitProbe, options: Parameters<typeof encodeSaInitProbe>[1] = {}) {
  const before = pair.wire.length;
  const data = encodeSaInitProbe(probe, options);
  pair.input("b", { kind: "datagram", local: peerOf("b").local, remote: { address: "10.0.0.1", port: 40_000 }, data });
  const answer = pair.wire.at(-1);
  return pair.wire.length === before || answer === undefined ? undefined : readSaInitProbeAnswer(probe, answer.data);
}

function pairWith(suites: readonly IkeSuite[], settings: Partial<EngineSettings> = {}): Pair {
  const pair = new Pair({ settings });
  pair.input("b", { kind: "configure", peers: [peerOf("b", { suites })] });
  return pair;
}

test("a suite in common: the answer names the method that the peer wants, and no state is made (RFC 7296 section 1.2)", () => {
  const pair = pairWith([aesGcm]);
  // HDR, SAi1, KEi(1024), Ni -->
  //                          <-- HDR, N(INVALID_KE_PAYLOAD)
  const answer = asked(pair, newSaInitProbe(crypto, [aesGcm]));
  assert.deepEqual(answer, { kind: "suiteInCommon", keyExchangeMethod: aesGcm.keyExchange[0] });
  assert.deepEqual(pair.b.states, []);
});

test("no suite in common, and no state either (RFC 7296 section 2.7)", () => {
  const pair = pairWith([aesGcm]);
  const foreign = { ...aesGcm, encryption: [{ id: EncryptionAlgorithm.ENCR_CHACHA20_POLY1305 }] };
  assert.deepEqual(asked(pair, newSaInitProbe(crypto, [foreign])), { kind: "noSuiteInCommon" });
  assert.deepEqual(pair.b.states, []);
});

test("a peer under load asks for its cookie first; with it the probe gets its answer (RFC 7296 section 2.6)", () => {
  const pair = pairWith([aesGcm], { cookieThreshold: 0 });
  const probe = newSaInitProbe(crypto, [aesGcm]);
  // HDR, SAi1, KEi, Ni -->                 <-- HDR, N(COOKIE)
  const first = asked(pair, probe);
  assert.equal(first?.kind, "cookie");
  // HDR, N(COOKIE), SAi1, KEi, Ni -->      <-- HDR, N(INVALID_KE_PAYLOAD)
  const { cookie } = first as Extract<SaInitProbeAnswer, { kind: "cookie" }>;
  assert.equal(asked(pair, probe, { cookie })?.kind, "suiteInCommon");
  assert.equal(asked(pair, probe, { cookie: Uint8Array.of(1) })?.kind, "cookie", "a cookie of anybody's");
  assert.deepEqual(pair.b.states, []);
});

test("filled up to a length the probe is the same question (RFC 7296 section 3.12)", () => {
  const pair = pairWith([aesGcm]);
  for (const lengthBytes of [1368, 2872]) {
    const probe = newSaInitProbe(crypto, [aesGcm]);
    assert.equal(encodeSaInitProbe(probe, { lengthBytes }).length, lengthBytes);
    assert.equal(asked(pair, probe, { lengthBytes })?.kind, "suiteInCommon");
  }
  const probe = newSaInitProbe(crypto, [aesGcm]);
  const cookie = new Uint8Array(64).fill(7);
  assert.equal(encodeSaInitProbe(probe, { lengthBytes: 1368, cookie }).length, 1368, "with a cookie too");
  assert.ok(encodeSaInitProbe(probe, { lengthBytes: 10 }).length > 100, "never less than the question itself");
});

test("what is no answer to this probe says nothing", () => {
  const probe = newSaInitProbe(crypto, [aesGcm]);
  const request = encodeSaInitProbe(probe);
  const { header } = decodeMessage(request);
  const response = { ...header, isInitiator: false, isResponse: true };
  const refusal = {
    kind: "N",
    protocolId: 0,
    spi: new Uint8Array(0),
    notifyType: 24,
    data: new Uint8Array(0),
  } as const;
  const read = (change: Partial<typeof header>, notify: object = {}) =>
    readSaInitProbeAnswer(probe, encodeMessage({ ...response, ...change }, [{ ...refusal, ...notify }]));
  assert.deepEqual(read({}), { kind: "otherAnswer", notifyType: 24 });
  assert.deepEqual(readSaInitProbeAnswer(probe, request), { kind: "mirrored" });
  assert.equal(read({ initiatorSpi: header.initiatorSpi ^ 1n }), undefined, "another exchange");
  assert.equal(read({ isInitiator: true }), undefined);
  assert.equal(read({ messageId: 1 }), undefined);
  assert.equal(read({ exchangeType: 37 }), undefined);
  const badMethod = { notifyType: NotifyType.INVALID_KE_PAYLOAD, data: Uint8Array.of(1) };
  assert.equal(read({}, badMethod), undefined, "half a number");
  const whole = encodeMessage(response, [refusal]);
  for (let end = 0; end < whole.length; end++)
    assert.equal(readSaInitProbeAnswer(probe, whole.subarray(0, end)), undefined, `cut off after ${end} octets`);
});
