import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { describe, test } from "node:test";
import { IdType, KeyState, type MktTerms, mktSelectors, NotifyType, parseIdentity } from "@karp/ikev2";
import { parseAddress } from "@karp/tcp-ao";
import { loadConfiguration } from "../../src/config/loadConfiguration.ts";
import { drivers } from "../../src/drivers/index.ts";
import { driverOptions } from "../../src/runtime/driverSet.ts";
import { Intruder } from "./intruder.ts";
import { endAt, found, Router, Site } from "./site.ts";

/** N(REKEY_SA) as it stands in the plaintext: Protocol ID, SPI Size, type, SPI (RFC 7296 section 3.10). */
const rekeySa = (spi: number): Uint8Array => Uint8Array.of(201, 1, 0x40, 0x09, spi);

/** r1 has a session with r2, keyed, and one with r3, which is an intruder: a peer like any other, who reaches for more. */
async function withIntruder(t: TestContext) {
  const site = await Site.create(t);
  const { r1, r2 } = site;
  const third = await endAt(r1.self.address.replace(/1$/, "3"));
  const r3 = new Router({
    home: join(site.folder, "r3"),
    identity: "r3.test.example",
    peer: r1.identity,
    self: third,
    other: r1.self,
  });
  const secret = "8T3vXq0m5hJx1sVZkq2bN7yLw4cRfD9e\n";
  r3.configure({ top: { credentials: undefined }, session: { "psk-file": r3.file("peer.psk", secret) } });
  const withR3 = {
    ...r1.sessionWords,
    remote: third.address,
    peer: r3.identity,
    "peer-port": third.ike,
    "psk-file": r1.file("r3.psk", secret),
    mode: "observe",
  };
  r1.configure({ top: { sessions: { bgp1: r1.sessionWords, bgp3: withR3 } } });
  await Promise.all([r1.start(), r2.start()]);
  await Promise.all([r1.agreed(), r2.agreed()]);
  const loaded = await loadConfiguration(r3.configurationFile, driverOptions(drivers));
  assert.ok(loaded.ok);
  const intruder = await Intruder.start(t, found(loaded.configuration.peers[0], "the peer"));
  const terms: MktTerms = {
    integrity: [8],
    tcpOptions: [1],
    keyExchange: [],
    ...mktSelectors(parseAddress(third.address), parseAddress(r1.self.address), 179),
  };
  const create = (requestId: number, more: { sendId: number; rekeys?: number; terms?: MktTerms }): void =>
    intruder.input({
      kind: "createMkt",
      requestId,
      peer: intruder.peer.name,
      taken: new Uint8Array(32),
      terms,
      ...more,
    });
  create(1, { sendId: 7 });
  await intruder.event("mktNegotiated", 1);
  return { r1, r2, intruder, create, terms, third };
}

function keyWith(router: Router, session: string) {
  return router.views.keys.find((key) => key.session === session);
}

describe("an authenticated peer that reaches for another peer's key", { concurrency: 4 }, () => {
  test("another identity rekeying our MKT: refused, the key in use stays at both ends", async (t) => {
    const { r1, r2, intruder, create } = await withIntruder(t);
    const before = keyWith(r1, "bgp1");
    intruder.crypto.forgery = { find: rekeySa(7), put: rekeySa(before?.recvId ?? 0) };
    // CREATE_CHILD_SA { N(REKEY_SA) of r2's MKT, SA, Ni, TSi, TSr }  -->  <-- N(CHILD_SA_NOT_FOUND)
    create(2, { sendId: 8, rekeys: 7 });
    await intruder.answer(2);
    assert.equal(intruder.crypto.forged, 1, "the forged notify was sent");
    const after = keyWith(r1, "bgp1");
    assert.equal(after?.fingerprint, before?.fingerprint);
    assert.equal(after?.state, "current");
    assert.equal(r1.views.keys.filter(({ session }) => session === "bgp1").length, 1);
    assert.match(r1.log, /this IKE SA has no such MKT/);
    await r2.client.post("/v1/rekey", { session: "bgp1" });
    assert.notEqual(await r1.current(before?.fingerprint), before?.fingerprint, "whose key it is may still roll it");
  });

  test("another identity speaking about our MKT: nobody listens", async (t) => {
    const { r1, r2, intruder } = await withIntruder(t);
    const before = keyWith(r1, "bgp1");
    const sendId = before?.recvId ?? 0;
    for (const [index, state] of [KeyState.withdrawn, KeyState.failed, KeyState.unknown].entries()) {
      const requestId = 10 + index;
      const items = [{ kind: "keyState", sendId, state, reason: "mine" }] as const;
      intruder.input({ kind: "inform", requestId, peer: intruder.peer.name, items, connect: false });
      await intruder.event("informed", requestId);
    }
    const items = [{ kind: "deleteMkts", sendIds: [sendId] }] as const;
    intruder.input({ kind: "inform", requestId: 20, peer: intruder.peer.name, items, connect: false });
    await intruder.event("informed", 20);
    assert.deepEqual(keyWith(r1, "bgp1"), before, "not a word of it has changed");
    assert.equal(r2.view.safe, true);
  });

  test("traffic selectors of another peer's session: TS_UNACCEPTABLE, no key", async (t) => {
    const { r1, r2, intruder, create, terms } = await withIntruder(t);
    const foreign = mktSelectors(parseAddress(r2.self.address), parseAddress(r1.self.address), 179);
    create(3, { sendId: 9, terms: { ...terms, ...foreign } });
    const { failure } = await intruder.event("mktFailed", 3);
    assert.equal(failure.notifyType, NotifyType.TS_UNACCEPTABLE);
    assert.equal(r1.views.keys.filter(({ session }) => session === "bgp1").length, 1);
  });

  test("the identity of another peer under one's own credential: refused", async (t) => {
    const { r1, r2, intruder } = await withIntruder(t);
    const before = keyWith(r1, "bgp1");
    const localIdentity = found(parseIdentity(r2.identity), "identity");
    assert.equal(localIdentity.idType, IdType.ID_FQDN);
    intruder.input({ kind: "configure", peers: [{ ...intruder.peer, localIdentity }] });
    const items = [{ kind: "deleteMkts", sendIds: [before?.recvId ?? 0] }] as const;
    intruder.input({ kind: "inform", requestId: 30, peer: intruder.peer.name, items, connect: true });
    await intruder.event("informFailed", 30);
    await r1.event("peerRejected", /^127\.\d+\.\d+\.3 was refused: no peer at this address is r2\.test\.example/);
    assert.equal(keyWith(r1, "bgp1")?.fingerprint, before?.fingerprint);
  });
});
