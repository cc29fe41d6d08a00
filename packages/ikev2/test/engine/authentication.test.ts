import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { type IkePeer, NotifyType, type SigningKey } from "../../src/index.ts";
import { Pair, type PairOptions, pskAuthRequest, saInitRequest, saInitResponse } from "./pair.ts";
import { aesGcm, ecdsaKey, ed25519Key, identities, identity, peerOf, psk } from "./peers.ts";
import { certificate } from "./selfSigned.ts";

const sha256 = (octets: Uint8Array): Uint8Array => Uint8Array.from(createHash("sha256").update(octets).digest());

function rawKeys(a: SigningKey, b: SigningKey): PairOptions {
  const pinned = (key: SigningKey) => ({ kind: "pinned", fingerprints: [sha256(key.publicKey)] }) as const;
  const own = (key: SigningKey) => ({ kind: "signature", key, certificates: [] }) as const;
  return {
    a: { localAuthentication: own(a), remoteAuthentication: pinned(b) },
    b: { localAuthentication: own(b), remoteAuthentication: pinned(a) },
  };
}

const anchor = certificate("anchor");
const certA = certificate("a.example.net", anchor);
const certB = certificate("b.example.net", anchor);
type Certified = ReturnType<typeof certificate>;
const certified = (own: Certified): Partial<IkePeer> => ({
  localAuthentication: { kind: "signature", key: own.key, certificates: [own.der, anchor.der] },
  remoteAuthentication: { kind: "certificate" },
});
const withCertificates: PairOptions = { a: certified(certA), b: certified(certB) };

/** Runs until IKE_AUTH is over, one way or the other. */
function attempt(options: PairOptions): Pair {
  const pair = new Pair(options);
  pair.createMkt("a", 1);
  pair.flush();
  return pair;
}

function assertRefusedByResponder(pair: Pair): void {
  assert.ok(
    pair.sent.some(({ from, text }) => from === "b" && text === "IKE_AUTH response {N(AUTHENTICATION_FAILED)}"),
    pair.sent.map(({ text }) => text).join("\n"),
  );
  assert.equal(pair.a.last("mktFailed").failure.reason, "authenticationFailed");
  assert.equal(pair.a.last("mktFailed").failure.notifyType, NotifyType.AUTHENTICATION_FAILED);
  assert.equal(pair.b.of("peerRejected").length, 1);
  assert.deepEqual([pair.a.of("ikeSaEstablished"), pair.b.of("ikeSaEstablished")], [[], []]);
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
}

for (const [name, make] of [
  ["Ed25519", ed25519Key],
  ["ECDSA P-256", () => ecdsaKey("P-256")],
  ["ECDSA P-384", () => ecdsaKey("P-384")],
] as const) {
  test(`raw public keys, ${name} (RFC 7427, RFC 7670)`, () => {
    const [a, b] = [make(), make()];
    const pair = new Pair(rawKeys(a, b));
    pair.createMkt("a", 1);
    pair.step(`a: ${saInitRequest}`);
    //          <--  HDR, SAr1, KEr, Nr, CERTREQ
    pair.step(`b: ${saInitResponse.replace("}", ", CERTREQ, CERTREQ}")}`);
    // HDR, SK {IDi, CERT, CERTREQ, IDr, AUTH, SAi2, TSi, TSr}  -->
    pair.step(
      "a: IKE_AUTH request {IDi, CERT, N(INITIAL_CONTACT), CERTREQ, CERTREQ, IDr, AUTH, SA, TSi, TSr, N(KMP_KEYIDS_TAKEN)}",
    );
    //          <--  HDR, SK {IDr, CERT, AUTH, SAr2, TSi, TSr}
    pair.step("b: IKE_AUTH response {IDr, CERT, AUTH, SA, TSi, TSr}");
    pair.assertSameMkt(1);
    const fingerprint = `sha256:${Buffer.from(sha256(b.publicKey)).toString("hex")}`;
    assert.equal(pair.a.last("ikeSaEstablished").credentialFingerprint, fingerprint);
    assert.equal(pair.a.last("mktNegotiated").credentialFingerprint, fingerprint);
  });
}

test("the two ends may use different kinds of credentials (RFC 7296 section 2.15)", () => {
  const key = ed25519Key();
  const pinned = { kind: "pinned", fingerprints: [sha256(key.publicKey)] } as const;
  const pair = attempt({
    a: { localAuthentication: { kind: "signature", key, certificates: [] }, remoteAuthentication: psk() },
    b: { localAuthentication: psk(), remoteAuthentication: pinned },
  });
  pair.assertSameMkt(1);
});

test("certificates: AUTH is verified first, then the chain is judged, then there is an IKE SA", () => {
  const pair = new Pair(withCertificates);
  pair.a.verdict = undefined;
  pair.b.verdict = undefined;
  pair.createMkt("a", 1);
  pair.step();
  pair.step();
  // HDR, SK {IDi, CERT, CERT, CERTREQ, IDr, AUTH, SAi2, TSi, TSr}  -->
  const request = pair.step(
    "a: IKE_AUTH request {IDi, CERT, CERT, N(INITIAL_CONTACT), CERTREQ, IDr, AUTH, SA, TSi, TSr, N(KMP_KEYIDS_TAKEN)}",
  );
  const [asked] = pair.b.asked;
  assert.ok(asked);
  assert.deepEqual(asked.chain, [certA.der, anchor.der]);
  assert.deepEqual(asked.remoteIdentity, identities.a);
  assert.deepEqual([pair.b.events, pair.wire], [[], []]);
  // Meanwhile a retransmission is dropped in silence
  pair.deliver(request);
  assert.deepEqual(pair.wire, []);
  pair.input("b", { kind: "certificateValidated", requestId: asked.requestId, verdict: { ok: true } });
  //          <--  HDR, SK {IDr, CERT, CERT, AUTH, SAr2, TSi, TSr}
  pair.step("b: IKE_AUTH response {IDr, CERT, CERT, AUTH, SA, TSi, TSr}");
  assert.deepEqual(pair.a.states, ["judgingResponder"]);
  assert.deepEqual(pair.a.asked[0]?.chain, [certB.der, anchor.der]);
  pair.input("a", { kind: "certificateValidated", requestId: pair.a.asked[0]?.requestId ?? 0, verdict: { ok: true } });
  pair.assertSameMkt(1);
});

test("a certificate that is refused: no IKE SA, and the peer learns only that it failed", () => {
  const pair = new Pair(withCertificates);
  pair.b.verdict = { ok: false, reason: "expired" };
  pair.createMkt("a", 1);
  pair.flush();
  assertRefusedByResponder(pair);
  assert.match(pair.b.last("peerRejected").detail, /expired/);
});

test("the responder's certificate is refused: the responder is told (RFC 7296 section 2.21.2)", () => {
  const pair = new Pair(withCertificates);
  pair.a.verdict = { ok: false, reason: "not yet valid" };
  pair.createMkt("a", 1);
  for (let count = 0; count < 4; count++) pair.step();
  assert.equal(pair.a.last("mktFailed").failure.reason, "certificateRefused");
  // HDR, SK {N(AUTHENTICATION_FAILED)}  -->
  pair.step("a: INFORMATIONAL request {N(AUTHENTICATION_FAILED)}");
  //          <--  HDR, SK {}
  pair.step("b: INFORMATIONAL response {}");
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
  assert.equal(pair.b.last("ikeSaClosed").failure?.notifyType, NotifyType.AUTHENTICATION_FAILED);
});

for (const end of ["a", "b"] as const) {
  test(`nobody judges the certificate in time (at ${end}): refused`, () => {
    const pair = new Pair(withCertificates);
    pair.router(end).verdict = undefined;
    pair.createMkt("a", 1);
    pair.flush();
    pair.elapse(30);
    assert.equal(pair.router(end).last("peerRejected").detail, "nobody judged the certificate in time");
    assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
  });
}

test("a peer that is not configured any more when its certificate has been judged is refused", () => {
  const pair = new Pair(withCertificates);
  pair.b.verdict = undefined;
  pair.createMkt("a", 1);
  for (let count = 0; count < 3; count++) pair.step();
  const stranger = peerOf("b", { name: "c", remoteIdentity: identity("c.example.net") });
  pair.input("b", { kind: "configure", peers: [stranger] });
  pair.input("b", { kind: "certificateValidated", requestId: pair.b.asked[0]?.requestId ?? 0, verdict: { ok: true } });
  pair.flush();
  assertRefusedByResponder(pair);
});

test("a certificate of another key than that of AUTH is not even judged", () => {
  const pair = attempt({ ...withCertificates, a: { ...certified({ ...certA, key: ed25519Key() }) } });
  assertRefusedByResponder(pair);
  assert.deepEqual(pair.b.asked, []);
});

test("a raw public key where a certificate is due is refused", () => {
  const raw = { kind: "signature", key: certA.key, certificates: [] } as const;
  assertRefusedByResponder(attempt({ ...withCertificates, a: { ...certified(certA), localAuthentication: raw } }));
});

test("a certificate with a pinned key needs nobody's judgement", () => {
  const pinned = { kind: "pinned", fingerprints: [sha256(certA.key.publicKey)] } as const;
  const pair = new Pair({ ...withCertificates, b: { ...certified(certB), remoteAuthentication: pinned } });
  pair.b.verdict = undefined;
  pair.createMkt("a", 1);
  pair.flush();
  pair.assertSameMkt(1);
});

test("wrong PSK", () => {
  assertRefusedByResponder(attempt({ b: { remoteAuthentication: psk("another secret of enough octets!") } }));
});

test("wrong PSK of the responder: the initiator refuses, and says so", () => {
  const pair = attempt({ b: { localAuthentication: psk("another secret of enough octets!") } });
  assert.equal(pair.a.last("mktFailed").failure.reason, "authenticationFailed");
  assert.equal(pair.a.last("peerRejected").peer, "b");
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
  // b believed for a moment; it has an MKT that the orphan rule will drop
  assert.equal(pair.b.of("ikeSaClosed").length, 1);
});

test("a key that is not pinned", () => {
  const [a, b] = [ed25519Key(), ed25519Key()];
  const options = rawKeys(a, b);
  const pair = attempt({ ...options, a: { ...options.a, ...rawKeys(ed25519Key(), b).a } });
  assertRefusedByResponder(pair);
});

test("an unknown identity gets the same answer as a wrong key", () => {
  const unknown = attempt({ a: { localIdentity: identity("c.example.net") } });
  assertRefusedByResponder(unknown);
  assert.equal(unknown.b.last("peerRejected").peer, undefined);
  const wrongKey = attempt({ b: { remoteAuthentication: psk("another secret of enough octets!") } });
  const lengthOf = (pair: Pair): number | undefined =>
    pair.sent.find(({ text }) => text === "IKE_AUTH response {N(AUTHENTICATION_FAILED)}")?.data.length;
  assert.equal(lengthOf(unknown), lengthOf(wrongKey));
});

test("an IDr that is not ours is refused", () => {
  assertRefusedByResponder(attempt({ a: { remoteIdentity: identity("c.example.net") } }));
});

test("the responder's IDr must be the one configured, whoever signs it", () => {
  const pair = new Pair({ a: { remoteIdentity: identity("c.example.net") } });
  // b does not mind being called c, but answers as b
  const lenient = peerOf("b");
  pair.input("b", { kind: "configure", peers: [{ ...lenient, localIdentity: identity("c.example.net") }] });
  pair.createMkt("a", 1);
  pair.flush();
  pair.assertSameMkt(1);
  const strict = new Pair({ a: { remoteIdentity: identity("B.example.net") } });
  strict.createMkt("a", 1);
  strict.flush();
  // ASCII case does not make another name (RFC 5280 section 7.2)
  strict.assertSameMkt(1);
});

test("a responder that proves another identity than the one configured is refused, and told so", () => {
  const pair = new Pair({ b: { localIdentity: identity("c.example.net") } });
  pair.createMkt("a", 1);
  pair.step();
  // a asks for b.example.net, c.example.net is made to hear its own name: IDr is not covered by AUTH
  pair.a.crypto.tamper = (plaintext) => {
    const place = Buffer.from(plaintext).indexOf("b.example.net");
    assert.ok(place > 0);
    plaintext[place] = "c".charCodeAt(0);
  };
  pair.step();
  pair.step();
  pair.step("b: IKE_AUTH response {IDr, AUTH, SA, TSi, TSr}");
  assert.equal(pair.a.last("mktFailed").failure.reason, "identityMismatch");
  assert.match(pair.a.last("peerRejected").detail, /c\.example\.net/);
  assert.deepEqual(pair.a.of("ikeSaEstablished"), []);
  pair.step("a: INFORMATIONAL request {N(AUTHENTICATION_FAILED)}");
  pair.flush();
  assert.deepEqual([pair.a.states, pair.b.states], [[], []]);
});

test("our own identity is refused as the peer's, even if the configuration says so", () => {
  const unknown = attempt({ a: { localIdentity: identities.b } });
  assertRefusedByResponder(unknown);
  assert.match(unknown.b.last("peerRejected").detail, /our own identity/);
  assertRefusedByResponder(attempt({ a: { localIdentity: identities.b }, b: { remoteIdentity: identities.b } }));
  const responder = attempt({
    a: { remoteIdentity: identities.a },
    b: { localIdentity: identities.a, remoteIdentity: identities.a },
  });
  assert.deepEqual(responder.a.of("ikeSaEstablished"), []);
});

test("a suite that only another peer at the same address may use is refused in the end", () => {
  const strong = { ...aesGcm, encryption: [{ id: 20, keyLengthBits: 256 }] };
  const pair = new Pair({ a: { suites: [strong] } });
  const other = peerOf("b", { name: "c", remoteIdentity: identity("c.example.net"), suites: [strong] });
  pair.input("b", { kind: "configure", peers: [peerOf("b"), other] });
  pair.createMkt("a", 1);
  pair.flush();
  assertRefusedByResponder(pair);
  assert.match(pair.b.last("peerRejected").detail, /suite/);
});

test("an identity is good at its own address only", () => {
  const pair = new Pair();
  const third = { address: "10.0.0.3", port: 500 };
  pair.input("b", {
    kind: "configure",
    peers: [peerOf("b"), { ...peerOf("b"), name: "c", remoteIdentity: identity("c"), remote: third }],
  });
  pair.createMkt("a", 1);
  // The messages come from c's address
  const relay = (): void => {
    const { data } = pair.take();
    pair.input("b", { kind: "datagram", local: { address: "10.0.0.2", port: 500 }, remote: third, data });
  };
  relay();
  pair.step();
  relay();
  pair.step("b: IKE_AUTH response {N(AUTHENTICATION_FAILED)}");
  assert.deepEqual(pair.b.of("ikeSaEstablished"), []);
});

test("two peers at one address are told apart by their identities", () => {
  const pair = new Pair();
  const other = {
    ...peerOf("b"),
    name: "c",
    remoteIdentity: identity("c.example.net"),
    remoteAuthentication: psk("x".repeat(32)),
  };
  pair.input("b", { kind: "configure", peers: [other, peerOf("b")] });
  pair.createMkt("a", 1);
  pair.flush();
  assert.equal(pair.b.last("ikeSaEstablished").peer, "a");
  pair.assertSameMkt(1);
});

test("INITIAL_CONTACT closes older IKE SAs of that identity, after authentication only (RFC 7296 section 2.4)", () => {
  const pair = Pair.established();
  // a restarts and knows of nothing
  pair.a.endpoint = pair.a.fresh();
  pair.input("a", { kind: "configure", peers: [peerOf("a", { localAuthentication: psk("y".repeat(32)) })] });
  pair.createMkt("a", 2);
  pair.flush();
  assert.deepEqual(pair.b.states, ["established"]);
  assert.equal(pair.b.of("ikeSaClosed").length, 0);
  pair.input("a", { kind: "configure", peers: [peerOf("a")] });
  pair.createMkt("a", 3);
  pair.flush();
  assert.deepEqual(pair.b.states, ["established"]);
  assert.equal(pair.b.of("ikeSaClosed").length, 1);
  assert.equal(pair.b.last("ikeSaEstablished").initialContact, true);
  pair.assertSameMkt(3);
});

test("INITIAL_CONTACT is not sent while another IKE SA is up, or when the settings say so", () => {
  const pair = new Pair({ settings: { initialContact: false } });
  pair.createMkt("a", 1);
  pair.step();
  pair.step();
  pair.step(`a: ${pskAuthRequest.replace("N(INITIAL_CONTACT), ", "")}`);
});
