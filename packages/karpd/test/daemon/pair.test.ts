import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { KeyView, PeerView, SessionView } from "../../src/core/views.ts";
import { freePorts, Site, until, type Words } from "./site.ts";

const FINGERPRINT = "[0-9a-f]{16}";
const MOMENT = "\\d{4}-\\d{2}-\\d{2} \\d{2}:\\d{2}:\\d{2}Z \\((\\d+ \\w+ ago|in \\d+ \\w+)\\)";

/** A line of output with FP for a fingerprint and AT for a moment, as a pattern for the whole line. */
function line(text: string): RegExp {
  const escaped = text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(
    `^${escaped.replaceAll("FP", FINGERPRINT).replaceAll("AT", MOMENT).replaceAll(/ {2,}/g, " +")}$`,
    "m",
  );
}

describe("two daemons on loopback", { concurrency: 4 }, () => {
  test("negotiate a key and put it in; every view says so, in text and JSON", async (t) => {
    const { r1, r2 } = await (await Site.create(t)).keyed();
    assert.equal(r1.fingerprint, r2.fingerprint);
    await r1.agreed();
    assert.match(
      await r1.show("peers"),
      line(
        "r2.test.example  ADDRESS  established  SUITE  AT  -"
          .replace("ADDRESS", `${r2.self.address}:${r2.self.ike}`)
          .replace("SUITE", "AES-GCM-16-128, PRF-HMAC-SHA2-256, X25519"),
      ),
    );
    assert.match(
      await r1.show("sessions"),
      line("bgp1  bgp  endpoint  opportunistic  safe  idle  protected with key FP (aes-128-cmac-96)"),
    );
    assert.match(await r1.show("keys"), line("bgp1  current  1  1  aes-128-cmac-96  FP  in-use  AT  AT"));
    const rollovers = await r1.show("rollovers");
    for (const expected of [
      "bgp1: safe: protected with key FP (aes-128-cmac-96)",
      "  step      idle; 0 completed",
      "  next      AT",
      "  soft      AT",
      "  hard      AT, then: the key is kept, with an alarm",
      "  peer's    soft AT, hard AT",
    ]) {
      assert.match(rollovers, line(expected));
    }
    assert.match(
      await r1.show("events"),
      /rolloverCompleted +bgp1 +key [0-9a-f]{16} is current: both ends send with it/,
    );

    const [peer] = JSON.parse(await r1.show("peers", true)) as PeerView[];
    assert.equal(peer?.ikeSa, "established");
    assert.deepEqual(peer?.sessions, ["bgp1"]);
    const [session] = JSON.parse(await r1.show("sessions", true)) as SessionView[];
    assert.equal(session?.safe, true);
    assert.equal(session?.currentKey, r2.fingerprint);
    const [key] = JSON.parse(await r2.show("keys", true)) as KeyView[];
    assert.deepEqual(
      { state: key?.state, sendId: key?.sendId, recvId: key?.recvId, createdBy: key?.createdBy, of: key?.peerIdentity },
      { state: "current", sendId: 1, recvId: 1, createdBy: "ike", of: r1.identity },
    );
    assert.match(
      key?.history["current"] ?? "",
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
      "RFC 3339 UTC with milliseconds",
    );
  });

  test("roll the key on request, with the segments going on, and take the old one out", async (t) => {
    const { r1, r2 } = await (await Site.create(t)).keyed();
    const first = r1.fingerprint;
    const reply = await r1.client.post("/v1/rekey", { session: r1.session });
    assert.deepEqual(reply, { ok: true, text: "a new key for bgp1 is being negotiated" });
    const second = await r1.current(first);
    assert.equal(await r2.current(first), second);
    await r1.event("mktState", new RegExp(`${first}: retiring -> removed`));
    await r2.event("mktState", new RegExp(`${first}: retiring -> removed`));
    for (const router of [r1, r2]) {
      const { segmentsRejected, gaps, handshakes } = router.daemon.driverStatistics()["bgp1"] ?? {};
      assert.deepEqual({ segmentsRejected, gaps, handshakes }, { segmentsRejected: 0, gaps: 0, handshakes: 1 });
      assert.equal(router.rollover.completed, 1);
    }
  });

  test("freeze and thaw: no rollover at either end, and show says who waits for whom", async (t) => {
    const { r1, r2 } = await (await Site.create(t)).keyed({ rollover: { every: "8s", drain: "1s", "keep-old": "1s" } });
    await r1.client.post("/v1/freeze", { session: "bgp1", seconds: 3600 });
    await r2.event("frozen", /^r1\.test\.example begins no rollover before \d{4}-.*Z$/);
    const [before] = [r1.fingerprint];
    await r2.event("rolloverHeldBack", /the peer has frozen rollovers/);
    await r1.event("rolloverHeldBack", /rollovers are frozen here/);
    assert.equal(r1.fingerprint, before);
    assert.equal(r2.fingerprint, before);
    assert.equal(r1.rollover.step, "frozen");
    assert.equal(r1.rollover.waitingFor?.whom, "operator");
    assert.equal(r1.rollover.nextCommand, "karp thaw bgp1");
    assert.match(await r1.show("sessions"), /^bgp1 .* rollovers are frozen here until \d{4}-/m);
    assert.match(await r1.show("rollovers"), line("  frozen    here until AT"));
    assert.match(await r2.show("rollovers"), line("  frozen    by the peer until AT"));
    await assert.rejects(
      r1.client.post("/v1/rekey", { session: "bgp1" }),
      /rollovers of bgp1 are frozen; end that with: karp thaw bgp1/,
    );
    assert.equal(r2.rollover.waitingFor?.reason, "the peer has frozen rollovers");

    await r1.client.post("/v1/thaw", {});
    await r2.event("thawed");
    const after = await r1.current(before);
    assert.equal(await r2.current(before), after);
  });

  test("a freeze survives a restart", async (t) => {
    const { r1 } = await (await Site.create(t)).keyed();
    await r1.client.post("/v1/freeze", { seconds: 3600 });
    await r1.stop();
    await r1.start();
    await assert.rejects(r1.client.post("/v1/rekey", { session: "bgp1" }), /frozen/);
  });

  test("revoke: RP_revokeSA, no key is left at either end's endpoint, and a new one comes when it is asked for", async (t) => {
    const { r1, r2 } = await (await Site.create(t)).keyed();
    const revoked = r1.fingerprint;
    const reply = (await r1.client.post("/v1/revoke", { session: "bgp1", reason: "laptop lost" })) as { text: string };
    assert.equal(reply.text, "revoked 1 keys; ask for a new one with: karp rekey bgp1");
    await r1.event("RP_revokeSA", /all 1 keys of bgp1 are revoked: laptop lost/);
    assert.equal(r1.view.safe, false);
    assert.equal(r1.view.safety, "closed: the keys were revoked (laptop lost)");
    assert.equal(r1.rollover.nextCommand, "karp rekey bgp1");
    assert.match(
      await r1.show("rollovers"),
      /^bgp1: NOT SAFE: closed: the keys were revoked \(laptop lost\)\n.*\n {2}try {7}karp rekey bgp1$/m,
    );
    await r1.client.post("/v1/rekey", { session: "bgp1" });
    const fresh = await r1.current(revoked);
    assert.equal(await r2.current(revoked), fresh);
  });

  test("a revocation survives a restart", async (t) => {
    const { r1 } = await (await Site.create(t)).keyed();
    await r1.client.post("/v1/revoke", { session: "bgp1", reason: "laptop lost" });
    await r1.stop();
    await r1.start();
    assert.equal(r1.view.safety, "closed: the keys were revoked (laptop lost)");
  });

  test("keys that nobody observes: the peer's word is what counts, and never time alone", async (t) => {
    const site = await Site.create(t);
    for (const router of [site.r1, site.r2]) {
      const keychain: Words = { file: `${router.home}/keys.json` };
      // Neither end says in-use of its own accord while the test looks
      const rollover: Words = { settle: "1h" };
      router.configure({ session: { driver: "keychain", endpoint: undefined, keychain, rollover } });
      await router.start();
    }
    const { r1, r2 } = site;
    await r1.event("mktState", /installed -> preferred/);
    await r2.event("mktState", /installed -> preferred/);
    await r1.waitsFor(/the driver cannot observe, and the peer has not said in-use/);
    assert.equal(r1.rollover.step, "preferred");
  });

  test("mode observe at one end: the other is told, waits, and says for what", async (t) => {
    const { r1, r2 } = await Site.create(t);
    r2.configure({ session: { mode: "observe" } });
    await Promise.all([r1.start(), r2.start()]);
    await r1.event("peerKeyState", /observing/);
    const { waitingFor, step } = await r1.waitsFor(/^the first key goes in when both ends can$/);
    assert.equal(waitingFor?.whom, r2.identity);
    assert.equal(step, "held");
    const own = await r2.waitsFor(/^mode observe installs nothing; set mode: opportunistic at both ends$/);
    assert.equal(own.waitingFor?.whom, "operator");
    await r1.shows("rollovers", line(`  waits for ${r2.identity} since AT: the first key goes in when both ends can`));
    await r1.shows("rollovers", line("  peer says observing of key FP: mode observe"));
    assert.equal(r2.view.safety, "mode observe: keys are negotiated and rolled, but never installed");
    assert.equal(r1.view.safe, false);
  });
});

describe("reload", { concurrency: 4 }, () => {
  test("a bad file changes nothing, and the answer has the line and the advice", async (t) => {
    const { r1 } = await (await Site.create(t)).keyed();
    const before = r1.fingerprint;
    r1.configure({ session: { remoet: "10.0.0.2" } });
    await assert.rejects(r1.client.post("/v1/reload", {}), {
      message:
        /^nothing was changed: .*karp\.yaml:\d+:\d+ `remoet` is not a word that belongs in `sessions\.bgp1`; did you mean `remote`\?$/,
    });
    await assert.rejects(r1.client.get("/v1/changes"), /^ControlError: a reload would be refused: .*remoet/);
    assert.equal(r1.fingerprint, before);
    assert.equal(r1.view.safe, true);
  });

  test("diff says what a reload would do, and does nothing; reload does it", async (t) => {
    const { r1 } = await (await Site.create(t)).keyed();
    assert.deepEqual(await r1.client.get("/v1/changes"), {
      ok: true,
      text: "a reload would change nothing",
      changes: [],
    });
    r1.configure({ session: { "on-expiry": "fail-closed" } });
    const before = await r1.client.get("/v1/changes");
    assert.equal((before as { text: string }).text, "a reload would make 1 change(s)");
    assert.match(JSON.stringify(before), /session bgp1: .*fail-closed/);
    assert.equal(r1.rollover.atHardDeadline, "the key is kept, with an alarm");
    const reply = await r1.client.post("/v1/reload", {});
    assert.equal((reply as { text: string }).text, "1 change(s) took effect");
    assert.equal(r1.rollover.atHardDeadline, "the session fails closed");
    assert.equal(r1.view.safe, true, "the key in use stays");
  });

  test("an address that cannot be bound: nothing is changed, not even what was right", async (t) => {
    const { r1 } = await (await Site.create(t)).keyed();
    r1.configure({ top: { listen: ["192.0.2.1:5500"] }, session: { "on-expiry": "fail-closed" } });
    await assert.rejects(
      r1.client.post("/v1/reload", {}),
      /nothing was changed: cannot receive IKE on UDP 192\.0\.2\.1:5500: this address is not on any interface/,
    );
    assert.equal(r1.rollover.atHardDeadline, "the key is kept, with an alarm");
  });

  test("many reloads at once, and one while karp stops: each is whole, and no socket is left", async (t) => {
    const { r1 } = await (await Site.create(t)).keyed();
    const [extra = 0] = await freePorts(r1.self.address, 1);
    const own = `${r1.self.address}:${r1.self.ike}`;
    r1.configure({ top: { listen: [own, `${r1.self.address}:${extra}`] } });
    const reload = () => r1.client.post("/v1/reload", {}) as Promise<{ text: string; changes: string[] }>;
    const replies = await Promise.all([reload(), reload(), reload(), reload()]);
    assert.deepEqual(
      replies.map(({ text }) => text),
      ["1 change(s) took effect", "nothing has changed", "nothing has changed", "nothing has changed"],
    );
    assert.deepEqual(replies[0]?.changes, [
      `listen: ${own} becomes ${[own, `${r1.self.address}:${extra}`].toSorted().join(", ")}`,
    ]);
    r1.configure({ top: { listen: [own] } });
    const { daemon } = r1;
    const [late] = await Promise.all([daemon.reload(), r1.stop()]);
    assert.equal(late.ok, false);
    assert.match(late.text, /karp is being stopped$/);
    assert.equal((await daemon.reload()).ok, false);
    await r1.start();
    assert.deepEqual(r1.daemon.status().listening, [own]);
  });

  test("another store takes a restart: said, and nothing is changed", async (t) => {
    const { r1 } = await (await Site.create(t)).keyed();
    r1.configure({ top: { store: "elsewhere/keys.db" } });
    await assert.rejects(
      r1.client.post("/v1/reload", {}),
      /nothing was changed: another `store:` takes effect with a restart \(keys stay in place\)/,
    );
  });

  test("a session that is taken out is no longer managed; its key stays where it is", async (t) => {
    const { r1, r2 } = await (await Site.create(t)).keyed();
    const before = r2.fingerprint;
    r1.configure({ top: { sessions: {} } });
    const reply = (await r1.client.post("/v1/reload", {})) as { changes: string[] };
    assert.match(reply.changes.join("\n"), /session bgp1 is removed; its keys stay in the routing daemon/);
    assert.deepEqual(r1.views.sessions, []);
    const verified = (): number => r2.daemon.driverStatistics()["bgp1"]?.["segmentsVerified"] ?? 0;
    const reached = verified();
    await until(
      () => verified() > reached,
      () => `r1 no longer sends with the key:\n${r2.story}`,
    );
    assert.equal(r2.fingerprint, before);
  });
});
