import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { parseIdentity } from "@karp/ikev2";
import { makeDemoCertificates } from "../../src/cli/demo/certificates.ts";
import { certificatePem, makeCertificate, makeKeyPair } from "../../src/runtime/certificates/makeCertificate.ts";
import { anyEvent, anyWaitsFor, found, HASTY, type Router, Site, type StartOptions } from "./site.ts";

const hasty: StartOptions = { engineSettings: HASTY };
const PSK = ["8T3vXq0m5hJx1sVZkq2bN7yLw4cRfD9e\n", "Zq81LmW0sVb7xKc3TnY5eRj2HgU6pDaF\n"] as const;
const DAY_MILLISECONDS = 86_400_000;

/** No key anywhere; the session's view says who is waited for, since when and why. */
function assertUnkeyed(router: Router, reason: RegExp): void {
  assert.deepEqual(router.views.keys, [], "no key");
  const { rollover, safe, safety } = router.view;
  assert.equal(safe, false);
  assert.equal(safety, "not protected: there is no key yet");
  assert.equal(rollover.waitingFor?.whom, router.otherIdentity);
  assert.match(rollover.waitingFor?.reason ?? "", reason);
  assert.match(rollover.waitingFor?.since ?? "", /^\d{4}-/);
  assert.equal(rollover.nextCommand, rollover.step === "wanted" ? "karp doctor" : undefined);
}

function usePsk(router: Router, secret: string): void {
  const pskFile = router.file("peer.psk", secret);
  router.configure({ top: { credentials: undefined }, session: { "psk-file": pskFile } });
}

/** An Ed25519 certificate of the site's authority, or of one that nobody trusts. */
function giveCertificate(router: Router, identity: string, notAfterMilliseconds: number): void {
  const authority = makeKeyPair();
  const own = makeKeyPair();
  const validity = {
    notBefore: new Date(notAfterMilliseconds - DAY_MILLISECONDS),
    notAfter: new Date(notAfterMilliseconds),
  };
  const long = {
    notBefore: new Date(Date.now() - DAY_MILLISECONDS),
    notAfter: new Date(Date.now() + DAY_MILLISECONDS),
  };
  const root = makeCertificate({
    publicKey: authority.key.publicKey,
    commonName: "another authority",
    ...long,
    issuer: { key: authority.key },
    isAuthority: true,
  });
  const certificate = makeCertificate({
    publicKey: own.key.publicKey,
    commonName: identity,
    identities: [found(parseIdentity(identity), identity)],
    ...validity,
    issuer: { key: authority.key, certificate: root },
  });
  router.file("certificate.pem", certificatePem(certificate));
  router.file("private.key", own.privateKeyPem);
  router.file("other-ca.pem", certificatePem(root));
}

describe("peers that may not key a session", { concurrency: 4 }, () => {
  test("wrong PSK: both ends say so, and no key comes of it", async (t) => {
    const { r1, r2 } = await Site.create(t);
    usePsk(r1, PSK[0]);
    usePsk(r2, PSK[1]);
    await Promise.all([r1.start(hasty), r2.start(hasty)]);
    // Whoever asks gets AUTHENTICATION_FAILED; whoever is asked knows why
    const wrong = /the AUTH value is wrong: other key or secret, or the messages were changed on the way/;
    const answered = /IKE_AUTH was answered with AUTHENTICATION_FAILED/;
    await anyEvent([r1, r2], "peerRejected", wrong);
    await anyEvent([r1, r2], "ikeSaFailed", answered);
    const asker = await anyWaitsFor([r1, r2], answered);
    assertUnkeyed(asker, answered);
    await asker.shows(
      "rollovers",
      /^bgp1: NOT SAFE: not protected: there is no key yet\n {2}step +wanted .*\n {2}waits for r[12]\.test\.example since .*: IKE_AUTH was answered with AUTHENTICATION_FAILED/,
    );
    assert.match(await asker.show("peers"), /AUTHENTICATION_FAILED/);
    for (const { log } of [r1, r2]) for (const psk of PSK) assert.ok(!log.includes(psk.trim()));
  });

  test("untrusted certificate: refused with the reason, no key", async (t) => {
    const { r1, r2 } = await Site.create(t);
    giveCertificate(r2, r2.identity, Date.now() + DAY_MILLISECONDS);
    await Promise.all([r1.start(hasty), r2.start(hasty)]);
    await r1.event("peerRejected", new RegExp(`^${r2.self.address} was refused: .*(trust|issue|anchor)`));
    assert.deepEqual(r1.views.keys, []);
    // r2 took r1 for whom it is: what it holds is of no use without r1, and never put in
    assert.ok(r2.views.keys.every(({ state }) => state === "held"));
    assert.equal(r2.view.safe, false);
  });

  test("expired certificate: the peer refuses it and says since when, no key", async (t) => {
    const { r1, r2 } = await Site.create(t);
    giveCertificate(r2, r2.identity, Date.now() - 3_600_000);
    r1.file("ca.pem", readFileSync(`${r2.home}/other-ca.pem`, "utf8"));
    // r1's own certificate is of the old authority: only r2's matters here
    await Promise.all([r1.start(hasty), r2.start(hasty)]);
    assert.match(r2.log, /the certificate expired at .*; /, "the owner is warned at the start");
    await r1.event("peerRejected", /was refused: .*expired/);
    assert.deepEqual(r1.views.keys, []);
  });

  test("wrong identity: a valid certificate of somebody else keys nothing", async (t) => {
    const { r1, r2 } = await Site.create(t);
    // The authority of r1 made a certificate for r3, and r3 sits at the address of r2
    const { authority, routers } = makeDemoCertificates(["r3.test.example", r1.identity], Date.now());
    const [third, first] = routers;
    r2.file("certificate.pem", third?.certificate ?? "");
    r2.file("private.key", third?.privateKey ?? "");
    r1.file("certificate.pem", first?.certificate ?? "");
    r1.file("private.key", first?.privateKey ?? "");
    for (const router of [r1, r2]) router.file("ca.pem", authority);
    r2.configure({ top: { router: "r3.test.example" } });
    await Promise.all([r1.start(hasty), r2.start(hasty)]);
    await r2.client.post("/v1/RKMP_generateSA", { session: "bgp1" });
    await r1.event("peerRejected", /: (no peer at this address is|the peer says that it is) r3\.test\.example/);
    assert.deepEqual(r1.views.keys, []);
  });

  test("identity that is nobody's: who knocked from where is said, nothing else happens", async (t) => {
    const { r1, r2 } = await Site.create(t);
    // r2 expects to find another router here
    r2.configure({ session: { peer: "r9.test.example" } });
    r1.configure({ session: { mode: "opportunistic", peer: "r8.test.example" } });
    await Promise.all([r1.start(hasty), r2.start(hasty)]);
    await r2.event("peerRejected", /: no peer at this address is r1\.test\.example/);
    assert.deepEqual(r1.views.keys, []);
    assert.deepEqual(r2.views.keys, []);
  });

  test("no common proposal: both ends say so, and no key comes of it", async (t) => {
    const { r1, r2 } = await Site.create(t);
    r1.configure({ session: { ike: { "key-exchange": ["x25519"] } } });
    r2.configure({ session: { ike: { "key-exchange": ["modp-2048"] } } });
    await Promise.all([r1.start(hasty), r2.start(hasty)]);
    await r1.waitsFor(/IKE_SA_INIT was answered with NO_PROPOSAL_CHOSEN/);
    assertUnkeyed(r1, /NO_PROPOSAL_CHOSEN/);
    assert.match(r2.log, /"ike":"saInitRefused".*"msg":"no IKE proposal that both ends accept"/);
  });

  test("no common algorithm for the key: the IKE SA stands, the key does not, and show says why", async (t) => {
    const { r1, r2 } = await Site.create(t);
    r1.configure({ session: { algorithms: ["aes-128-cmac-96"] } });
    r2.configure({ session: { algorithms: ["hmac-sha-1-96"] } });
    await Promise.all([r1.start(hasty), r2.start(hasty)]);
    await anyWaitsFor([r1, r2], /NO_PROPOSAL_CHOSEN/);
    assert.deepEqual([...r1.views.keys, ...r2.views.keys], []);
  });

  test("traffic selectors that are not the peer's: refused, and show says why", async (t) => {
    const { r1, r2 } = await Site.create(t);
    // r2 means LDP between the two, not BGP
    r2.configure({ session: { protocol: "ldp" } });
    await Promise.all([r1.start(hasty), r2.start(hasty)]);
    await anyWaitsFor([r1, r2], /TS_UNACCEPTABLE/);
    assert.deepEqual([...r1.views.keys, ...r2.views.keys], []);
  });

  test("relayed own messages: a mirror at the peer's address makes no IKE SA and no key", async (t) => {
    const { r1, r2 } = await Site.create(t);
    const mirror = createSocket("udp4");
    await new Promise<void>((resolve) => {
      mirror.bind(r2.self.ike, r2.self.address, resolve);
    });
    t.after(() => mirror.close());
    let mirrored = 0;
    mirror.on("message", (message, from) => {
      mirrored++;
      mirror.send(message, from.port, from.address);
    });
    await r1.start(hasty);
    const failure =
      /the peer did not answer, and our own messages came back from 127\.\d+\.\d+\.2: something there mirrors UDP/;
    await r1.event("mktFailed", failure);
    await r1.shows("peers", failure);
    await r1.shows("rollovers", failure);
    assert.ok(mirrored > 0);
    assertUnkeyed(r1, /./);
    assert.equal(r1.views.peers[0]?.ikeSa === "established", false);
  });
});
