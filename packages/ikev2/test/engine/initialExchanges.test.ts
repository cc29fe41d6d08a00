import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeMessage,
  EncryptionAlgorithm,
  type IkeSuite,
  IntegrityAlgorithm,
  KeyExchangeMethod,
  NotifyType,
  PayloadType,
  PseudorandomFunction,
} from "../../src/index.ts";
import { announcements, Pair, pskAuthRequest, pskAuthResponse, saInitRequest, saInitResponse } from "./pair.ts";
import { aesGcm } from "./peers.ts";

test("IKE_SA_INIT and IKE_AUTH make an IKE SA with one MKT (RFC 7296 section 1.2)", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  pair.step(`a: ${saInitRequest}`);
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  pair.step(`b: ${saInitResponse}`);
  // HDR(A,B), SK {IDi, IDr, AUTH, SAi2, TSi, TSr}  -->
  pair.step(`a: ${pskAuthRequest}`);
  //                                <--  HDR(A,B), SK {IDr, AUTH, SAr2, TSi, TSr}
  pair.step(`b: ${pskAuthResponse}`);
  assert.equal(pair.wire.length, 0);
  pair.assertSameMkt(1);
  for (const router of [pair.a, pair.b]) {
    assert.deepEqual(
      router.events.map((event) => event.kind),
      ["ikeSaEstablished", "mktNegotiated"],
    );
    assert.equal(router.last("ikeSaEstablished").peerSpeaksKarp, true);
    assert.equal(router.last("ikeSaEstablished").suite, "AES-GCM-16-128, PRF-HMAC-SHA2-256, X25519");
  }
  assert.equal(pair.b.last("ikeSaEstablished").initialContact, true);
});

const aes = (id: number, keyLengthBits: number) => ({ id, keyLengthBits });
const ciphers = {
  "AES-GCM-16-128": { encryption: [aes(EncryptionAlgorithm.ENCR_AES_GCM_16, 128)], integrity: [] },
  "AES-GCM-16-256": { encryption: [aes(EncryptionAlgorithm.ENCR_AES_GCM_16, 256)], integrity: [] },
  "CHACHA20-POLY1305": { encryption: [{ id: EncryptionAlgorithm.ENCR_CHACHA20_POLY1305 }], integrity: [] },
  "AES-CBC-128, HMAC-SHA2-256-128": {
    encryption: [aes(EncryptionAlgorithm.ENCR_AES_CBC, 128)],
    integrity: [IntegrityAlgorithm.AUTH_HMAC_SHA2_256_128],
  },
  "AES-CBC-256, HMAC-SHA2-256-128": {
    encryption: [aes(EncryptionAlgorithm.ENCR_AES_CBC, 256)],
    integrity: [IntegrityAlgorithm.AUTH_HMAC_SHA2_256_128],
  },
} as const;
const prfs = {
  "PRF-HMAC-SHA2-256": PseudorandomFunction.PRF_HMAC_SHA2_256,
  "PRF-HMAC-SHA2-384": PseudorandomFunction.PRF_HMAC_SHA2_384,
  "PRF-HMAC-SHA2-512": PseudorandomFunction.PRF_HMAC_SHA2_512,
} as const;
const methods = {
  X25519: KeyExchangeMethod.CURVE25519,
  "ECP-256": KeyExchangeMethod.ECP_256,
  "ECP-384": KeyExchangeMethod.ECP_384,
  "MODP-2048": KeyExchangeMethod.MODP_2048,
} as const;

for (const [cipherName, cipher] of Object.entries(ciphers)) {
  for (const [prfName, prf] of Object.entries(prfs)) {
    for (const [methodName, method] of Object.entries(methods)) {
      const text = [cipherName, prfName, methodName].join(", ");
      test(`suite ${text}: IKE SA, MKT, MKT with PFS, rekey (RFC 7296 sections 2.14, 2.17, 2.18)`, () => {
        const suite: IkeSuite = { ...cipher, prf: [prf], keyExchange: [method] };
        const pair = Pair.established({ a: { suites: [suite] }, b: { suites: [suite] } });
        assert.equal(pair.a.last("ikeSaEstablished").suite, text);
        pair.b.policy.decide = () => undefined;
        pair.input("a", { kind: "rekeyIkeSa", peer: "b" });
        pair.flush();
        pair.createMkt("a", 2);
        pair.flush();
        pair.assertSameMkt(1);
        pair.assertSameMkt(2);
        assert.equal(pair.a.endpoint.ikeSas().find((sa) => sa.state === "established")?.suite, text);
      });
    }
  }
}

test("of two lists of suites the responder chooses its favourite (RFC 7296 section 2.7)", () => {
  const gcm256: IkeSuite = { ...aesGcm, encryption: ciphers["AES-GCM-16-256"].encryption };
  const pair = Pair.established({ a: { suites: [aesGcm, gcm256] }, b: { suites: [gcm256, aesGcm] } });
  assert.equal(pair.a.last("ikeSaEstablished").suite, "AES-GCM-16-256, PRF-HMAC-SHA2-256, X25519");
});

test("INVALID_KE_PAYLOAD: the initiator retries with the group asked for (RFC 7296 section 1.2)", () => {
  const onlyEcp: IkeSuite = { ...aesGcm, keyExchange: [KeyExchangeMethod.ECP_256] };
  const pair = new Pair({ b: { suites: [onlyEcp] } });
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  const first = pair.step(`a: ${saInitRequest}`);
  //                                <--  HDR(A,0), N(INVALID_KE_PAYLOAD)
  pair.step("b: IKE_SA_INIT response {N(INVALID_KE_PAYLOAD)}");
  // HDR(A,0), SAi1, KEi', Ni  -->
  const second = pair.step(`a: ${saInitRequest}`);
  pair.flush();
  pair.assertSameMkt(1);
  // The full set of suites is offered again, and Ni is the same
  const payload = (data: Uint8Array, kind: string) => decodeMessage(data).payloads.find((each) => each.kind === kind);
  assert.deepEqual(payload(first.data, "SA"), payload(second.data, "SA"));
  assert.deepEqual(payload(first.data, "Nonce"), payload(second.data, "Nonce"));
  assert.notDeepEqual(payload(first.data, "KE"), payload(second.data, "KE"));
});

test("INVALID_KE_PAYLOAD for a group that was not offered is a complaint only (RFC 7296 section 2.21.1)", () => {
  const wants: IkeSuite = { ...aesGcm, keyExchange: [KeyExchangeMethod.ECP_256, KeyExchangeMethod.ECP_384] };
  const pair = new Pair({ b: { suites: [wants] } });
  pair.createMkt("a", 1);
  pair.step(`a: ${saInitRequest}`);
  const demand = pair.take("b: IKE_SA_INIT response {N(INVALID_KE_PAYLOAD)}");
  const forged = { ...demand, data: demand.data.with(demand.data.length - 1, KeyExchangeMethod.MODP_2048) };
  pair.deliver(forged);
  assert.deepEqual(pair.wire, []);
  assert.deepEqual(pair.a.states, ["saInitSent"]);
  // The true one still helps
  pair.deliver(demand);
  pair.flush();
  pair.assertSameMkt(1);
  // Once for each group: the same demand again leads nowhere
  assert.equal(pair.a.of("mktFailed").length, 0);
});

test("NO_PROPOSAL_CHOSEN ends the attempt only when the time is over (RFC 7296 section 2.21.1)", () => {
  const other: IkeSuite = { ...aesGcm, prf: [PseudorandomFunction.PRF_HMAC_SHA2_512] };
  const pair = new Pair({ b: { suites: [other] } });
  const requestId = pair.createMkt("a", 1);
  pair.step(`a: ${saInitRequest}`);
  pair.step("b: IKE_SA_INIT response {N(NO_PROPOSAL_CHOSEN)}");
  assert.deepEqual(pair.a.states, ["saInitSent"]);
  assert.deepEqual(pair.a.events, []);
  pair.elapse(60);
  const failed = pair.a.last("mktFailed");
  assert.equal(failed.requestId, requestId);
  assert.equal(failed.failure.reason, "noProposalChosen");
  assert.equal(failed.failure.notifyType, NotifyType.NO_PROPOSAL_CHOSEN);
  assert.equal(pair.a.last("ikeSaFailed").failure.reason, "noProposalChosen");
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
});

test("cookies: a responder under load keeps no state for who cannot be reached (RFC 7296 section 2.6)", () => {
  const pair = new Pair({ settings: { cookieThreshold: 0 } });
  pair.createMkt("a", 1);
  // HDR(A,0), SAi1, KEi, Ni  -->
  pair.step(`a: ${saInitRequest}`);
  assert.deepEqual(pair.b.states, []);
  //                                <--  HDR(A,0), N(COOKIE)
  pair.step("b: IKE_SA_INIT response {N(COOKIE)}");
  // HDR(A,0), N(COOKIE), SAi1, KEi, Ni  -->
  pair.step(`a: IKE_SA_INIT request {N(COOKIE), SA, KE, N, ${announcements}}`);
  //                                <--  HDR(A,B), SAr1, KEr, Nr
  pair.step(`b: ${saInitResponse}`);
  pair.flush();
  pair.assertSameMkt(1);
});

test("COOKIE and INVALID_KE_PAYLOAD: the cookie stays in all retries (RFC 7296 section 2.6.1)", () => {
  const onlyEcp: IkeSuite = { ...aesGcm, keyExchange: [KeyExchangeMethod.ECP_256] };
  const pair = new Pair({ settings: { cookieThreshold: 0 }, b: { suites: [onlyEcp] } });
  pair.createMkt("a", 1);
  pair.step(`a: ${saInitRequest}`);
  pair.step("b: IKE_SA_INIT response {N(COOKIE)}");
  pair.step(`a: IKE_SA_INIT request {N(COOKIE), SA, KE, N, ${announcements}}`);
  pair.step("b: IKE_SA_INIT response {N(INVALID_KE_PAYLOAD)}");
  // HDR(A,0), N(COOKIE), SAi1, KEi', Ni  -->
  pair.step(`a: IKE_SA_INIT request {N(COOKIE), SA, KE, N, ${announcements}}`);
  pair.step(`b: ${saInitResponse}`);
  pair.flush();
  pair.assertSameMkt(1);
});

test("the initiator follows a limited number of cookies (RFC 7296 section 2.6)", () => {
  const pair = new Pair({ settings: { cookieThreshold: 0, saInitRetries: 3 } });
  pair.createMkt("a", 1);
  pair.step();
  const cookie = pair.take("b: IKE_SA_INIT response {N(COOKIE)}");
  for (let count = 0; count < 10; count++) pair.deliver(cookie);
  assert.equal(pair.wire.length, 3);
});

test("half-open IKE SAs are limited, and go when their time is over", () => {
  const pair = new Pair({ settings: { halfOpenLimit: 0 } });
  pair.createMkt("a", 1);
  pair.step();
  assert.deepEqual([pair.wire, pair.b.states], [[], []]);
  assert.equal(pair.b.endpoint.counters.halfOpenLimit, 1);
});

test("a half-open IKE SA whose IKE_AUTH never comes is forgotten in silence", () => {
  const pair = new Pair({ settings: { halfOpenSeconds: 45 } });
  pair.createMkt("a", 1);
  pair.step();
  assert.deepEqual(pair.b.states, ["halfOpen"]);
  pair.wire.length = 0;
  pair.elapse(44, (packet) => packet.from === "a");
  assert.deepEqual(pair.b.states, ["halfOpen"]);
  pair.elapse(2, () => true);
  assert.deepEqual(pair.b.states, []);
  assert.deepEqual(pair.b.events, []);
});

test("an IKE_SA_INIT request that comes again is answered from memory, and makes no second state (section 2.1)", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  const request = pair.step(`a: ${saInitRequest}`);
  const response = pair.take(`b: ${saInitResponse}`);
  pair.deliver(request);
  assert.deepEqual(pair.take().data, response.data);
  assert.deepEqual(pair.b.states, ["halfOpen"]);
  pair.deliver(response);
  pair.flush();
  // Once IKE_AUTH is there, it is ignored
  pair.deliver(request);
  assert.deepEqual(pair.wire, []);
  assert.deepEqual(pair.b.states, ["established"]);
});

test("childless initiation, then an MKT with CREATE_CHILD_SA (RFC 6023)", () => {
  const pair = new Pair();
  const requestId = pair.inform("a", [{ kind: "freeze", seconds: 60 }]);
  pair.step(`a: ${saInitRequest}`);
  pair.step(`b: ${saInitResponse}`);
  // HDR, SK {IDi, N(INITIAL_CONTACT), IDr, AUTH}  -->
  pair.step("a: IKE_AUTH request {IDi, N(INITIAL_CONTACT), IDr, AUTH}");
  //                                <--  HDR, SK {IDr, AUTH}
  pair.step("b: IKE_AUTH response {IDr, AUTH}");
  pair.step("a: INFORMATIONAL request {N(KMP_FREEZE)}");
  pair.step("b: INFORMATIONAL response {}");
  assert.equal(pair.a.last("informed").requestId, requestId);
  assert.equal(pair.b.last("freeze").seconds, 60);
  pair.createMkt("a", 1);
  pair.flush();
  pair.assertSameMkt(1);
});

test("a responder that does not say CHILDLESS_IKEV2_SUPPORTED gets no childless IKE_AUTH (RFC 6023 section 3)", () => {
  const pair = new Pair();
  const requestId = pair.inform("a", [{ kind: "freeze", seconds: 60 }]);
  pair.step(`a: ${saInitRequest}`);
  const response = pair.take(`b: ${saInitResponse}`);
  // CHILDLESS_IKEV2_SUPPORTED is the last payload: its type becomes one that nobody knows
  pair.deliver({ ...response, data: response.data.with(response.data.length - 1, 0) });
  assert.deepEqual(pair.wire, []);
  assert.equal(pair.a.last("informFailed").requestId, requestId);
  assert.equal(pair.a.last("informFailed").failure.reason, "childlessNotSupported");
  assert.deepEqual(pair.a.states, []);
});

test("without our Vendor ID no private notify is sent or understood (RFC 7296 section 6)", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  // b's eyes see another vendor, and so do a's: the AUTH payloads cover it, so both ends have to see the same
  const blind = (router: typeof pair.a): void => {
    const { crypto } = router;
    const digest = crypto.digest.bind(crypto);
    crypto.digest = (name, ...data) => {
      const octets = digest(name, ...data);
      const isVendorText = data[0]?.length === 32 && new TextDecoder().decode(data[0]).startsWith("karp IKEv2");
      return isVendorText ? octets.map((octet) => octet ^ 0xff) : octets;
    };
  };
  blind(pair.b);
  pair.step(`a: ${saInitRequest}`);
  pair.step(`b: ${saInitResponse}`);
  // no N(KMP_KEYIDS_TAKEN)
  pair.step("a: IKE_AUTH request {IDi, N(INITIAL_CONTACT), IDr, AUTH, SA, TSi, TSr}");
  pair.flush();
  assert.deepEqual(
    [pair.a, pair.b].map((router) => router.last("ikeSaEstablished").peerSpeaksKarp),
    [false, false],
  );
  const requestId = pair.inform("a", [{ kind: "keyState", sendId: 1, state: 1, reason: "" }]);
  assert.deepEqual(pair.wire, []);
  assert.equal(pair.a.last("informFailed").requestId, requestId);
  // KEYID_IN_USE is a private number too
  pair.b.policy.decide = () => ({ kind: "refuse", notifyType: NotifyType.KEYID_IN_USE, detail: "for the test" });
  pair.createMkt("a", 2, { lifetime: { softSeconds: 60, hardSeconds: 120 } });
  pair.step("a: CREATE_CHILD_SA request {SA, N, TSi, TSr}");
  pair.step("b: CREATE_CHILD_SA response {N(NO_ADDITIONAL_SAS)}");
  // A private notify that comes nevertheless means nothing: the second D becomes N(KMP_KEY_STATE) for SendID 1, state 2
  pair.a.crypto.tamper = (plaintext) => {
    plaintext[0] = PayloadType.N;
    const second = plaintext.subarray((plaintext[2] ?? 0) * 256 + (plaintext[3] ?? 0));
    second.set([NotifyType.KMP_KEY_STATE >> 8, NotifyType.KMP_KEY_STATE & 0xff], 6);
  };
  pair.inform("a", [
    { kind: "deleteMkts", sendIds: [77] },
    { kind: "deleteMkts", sendIds: [1, 2] },
  ]);
  pair.step();
  assert.deepEqual(pair.b.last("mktsDeleted").recvIds, [77]);
  assert.deepEqual(pair.b.of("keyState"), []);
});

test("a NAT on the path is reported, and changes nothing else (RFC 7296 section 2.23)", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  const request = pair.take();
  const translated = { ...request.local, port: 40_000 };
  pair.input("b", { kind: "datagram", local: request.remote, remote: translated, data: request.data });
  const line = pair.b.logs.find((log) => log.name === "natDetected")?.detail ?? "";
  assert.match(line, /^a NAT changes the peer's address: TCP-AO will not work through it.* make 4500 our first port/);
  // RFC 7296 section 2.11: the response goes whence the request came
  assert.deepEqual(pair.take().remote, translated);
});

test("an initiator moves to port 4500 with IKE_AUTH: our requests go there too (RFC 7296 section 2.23)", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  pair.step();
  pair.step();
  const auth = pair.take(`a: ${pskAuthRequest}`);
  const moved = { local: { ...auth.local, port: 4500 }, remote: { ...auth.remote, port: 4500 } };
  pair.deliver({ ...auth, ...moved });
  const answer = pair.step(`b: ${pskAuthResponse}`);
  pair.input("b", { kind: "rekeyIkeSa", peer: "a" });
  const own = pair.step("b: CREATE_CHILD_SA request {SA, N, KE}");
  for (const { local, remote } of [answer, own]) assert.deepEqual([local, remote], [moved.remote, moved.local]);
  pair.flush();
  // The new IKE SA inherits the path
  const [rekeyed] = pair.b.endpoint.ikeSas().filter(({ state }) => state === "established");
  assert.deepEqual([rekeyed?.local, rekeyed?.remote], [moved.remote, moved.local]);
});

test("an IKE_AUTH request from another address moves nothing", () => {
  const pair = new Pair();
  pair.createMkt("a", 1);
  pair.step();
  pair.step();
  const auth = pair.take();
  const { local } = auth;
  pair.deliver({ ...auth, local: { address: "10.0.0.3", port: 4500 } });
  pair.deliver(auth);
  assert.deepEqual(pair.b.endpoint.ikeSas()[0]?.remote, local);
});
