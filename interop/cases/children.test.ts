import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { NotifyType } from "@karp/ikev2";
import { Charon } from "../lib/charon.ts";
import { connect, makePair, type Pair } from "../lib/pair.ts";

/** Both ends still have the same IKE SA, without any child, and it works both ways. */
async function assertKept(pair: Pair): Promise<void> {
  const { karp, charon, ike } = pair;
  const [ours, theirs] = [await karp.established(), await charon.established(ike)];
  assert.deepEqual([ours.initiatorSpi, ours.responderSpi], [theirs.initiatorSpi, theirs.responderSpi]);
  assert.equal(theirs.children, 0);
  assert.deepEqual(ours.mkts, []);
  karp.input({ kind: "rekeyIkeSa", peer: "charon" });
  const rekeyed = await charon.rekeyed(ike, theirs);
  await charon.command("rekey", { ike });
  await charon.rekeyed(ike, rekeyed);
  await karp.established();
}

describe("MKTs and ESP: neither end knows the other's children", () => {
  let charon: Charon;
  before(async () => {
    charon = await Charon.start();
  });
  after(() => charon.stop());

  test("our MKT in IKE_AUTH: NO_PROPOSAL_CHOSEN, the IKE SA is kept (RFC 7296 section 2.21.2)", async (t) => {
    const pair = await makePair(t, charon);
    const requestId = pair.karp.createMkt();
    const failed = await pair.karp.event("mktFailed");
    assert.deepEqual(
      [failed.requestId, failed.failure.reason, failed.failure.notifyType],
      [requestId, "noProposalChosen", NotifyType.NO_PROPOSAL_CHOSEN],
    );
    await charon.said(/parsed IKE_AUTH request 1 \[ IDi N\(INIT_CONTACT\) IDr AUTH SA TSi TSr \]/);
    await charon.said(/generating IKE_AUTH response 1 \[ IDr AUTH N\(NO_PROP\) \]/);
    await assertKept(pair);
  });

  test("our MKT in CREATE_CHILD_SA: NO_PROPOSAL_CHOSEN, the IKE SA is kept (RFC 7296 section 2.21.3)", async (t) => {
    const pair = await makePair(t, charon);
    await connect(pair, "karp");
    pair.karp.createMkt();
    const { failure } = await pair.karp.event("mktFailed");
    assert.equal(failure.notifyType, NotifyType.NO_PROPOSAL_CHOSEN);
    await assertKept(pair);
  });

  test("charon's ESP in IKE_AUTH: NO_PROPOSAL_CHOSEN from us, the IKE SA is kept (RFC 7296 section 2.21.2)", async (t) => {
    const pair = await makePair(t, charon);
    const from = charon.fullLog.length;
    await charon.initiate(pair.ike, "esp");
    await charon.said(/parsed IKE_AUTH response 1 \[ IDr AUTH N\(NO_PROP\) \]/, from);
    await assertKept(pair);
    assert.equal(pair.karp.events.filter(({ kind }) => kind === "mktNegotiated").length, 0);
  });

  test("charon's ESP in CREATE_CHILD_SA: NO_PROPOSAL_CHOSEN from us, the IKE SA is kept", async (t) => {
    const pair = await makePair(t, charon);
    await connect(pair, "charon");
    const from = charon.fullLog.length;
    await charon.initiate(pair.ike, "esp");
    await charon.said(/parsed CREATE_CHILD_SA response \d+ \[ N\(NO_PROP\) \]/, from);
    await assertKept(pair);
  });

  test("charon asks for an ESP child while ours for an MKT is under way: each is refused, both stay", async (t) => {
    const pair = await makePair(t, charon);
    await connect(pair, "karp");
    const from = charon.fullLog.length;
    pair.karp.hold();
    pair.karp.createMkt();
    await charon.initiate(pair.ike, "esp");
    await charon.said(/parsed CREATE_CHILD_SA request/, from);
    await charon.said(/generating CREATE_CHILD_SA request/, from);
    pair.karp.release();
    await pair.karp.event("mktFailed");
    await charon.said(/parsed CREATE_CHILD_SA response \d+ \[ N\(NO_PROP\) \]/, from);
    await assertKept(pair);
  });
});

describe("IKE SAs without children (RFC 6023)", () => {
  let charon: Charon;
  before(async () => {
    charon = await Charon.start();
  });
  after(() => charon.stop());

  for (const childless of ["allow", "force"]) {
    for (const by of ["karp", "charon"] as const) {
      test(`charon's childless = ${childless}, begun by ${by}`, async (t) => {
        const pair = await makePair(t, charon, { connection: { childless } });
        const from = charon.fullLog.length;
        await connect(pair, by);
        await charon.said(/IKE_AUTH request 1 \[ IDi N\(INIT_CONTACT\) IDr AUTH [^\]]*\]/, from);
        await charon.said(/IKE_AUTH response 1 \[ IDr AUTH [^\]]*\]/, from);
        assert.doesNotMatch(charon.fullLog.slice(from), /IKE_AUTH .* TSi/);
        await assertKept(pair);
      });
    }
  }

  test("charon does not take them: we do not send one, and say why (RFC 6023 section 3)", async (t) => {
    const pair = await makePair(t, charon, { connection: { childless: "never" } });
    pair.karp.inform();
    const { failure } = await pair.karp.event("ikeSaFailed");
    assert.equal(failure.reason, "childlessNotSupported");
    await pair.karp.gone();
  });

  test("charon takes nothing else: with an MKT it refuses us, without one the IKE SA comes up", async (t) => {
    const pair = await makePair(t, charon, { connection: { childless: "force" } });
    pair.karp.createMkt();
    await pair.karp.event("mktFailed");
    await pair.karp.gone();
    await charon.gone(pair.ike);
    await connect(pair, "karp");
  });
});
