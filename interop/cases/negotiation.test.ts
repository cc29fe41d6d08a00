import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { KeyExchangeMethod, NotifyType } from "@karp/ikev2";
import { Charon } from "../lib/charon.ts";
import { aesGcm } from "../lib/karpEnd.ts";
import { connect, makePair } from "../lib/pair.ts";

const { CURVE25519, ECP_256, ECP_384, MODP_2048 } = KeyExchangeMethod;

describe("IKE_SA_INIT: what the two do not agree on at once", () => {
  let charon: Charon;
  before(async () => {
    charon = await Charon.start();
  });
  after(() => charon.stop());

  test("charon wants another key exchange method: INVALID_KE_PAYLOAD, and we try again (RFC 7296 section 1.2)", async (t) => {
    const suites = [{ ...aesGcm, keyExchange: [CURVE25519, ECP_256, ECP_384] }];
    const pair = await makePair(t, charon, {
      peer: { suites },
      connection: { proposals: ["aes128gcm16-prfsha256-ecp384"] },
    });
    const from = charon.fullLog.length;
    await connect(pair, "karp");
    // HDR, SAi1, KEi, Ni  -->
    // <--  HDR, N(INVALID_KE_PAYLOAD)
    await charon.said(/generating IKE_SA_INIT response 0 \[ N\(INVAL_KE\) \]/, from);
    assert.match((await pair.karp.established()).suite ?? "", /ECP-384$/);
  });

  test("we want another key exchange method: charon tries again (RFC 7296 section 1.2)", async (t) => {
    const suites = [{ ...aesGcm, keyExchange: [MODP_2048] }];
    const pair = await makePair(t, charon, {
      peer: { suites },
      connection: { proposals: ["aes128gcm16-prfsha256-x25519-ecp256-modp2048"] },
    });
    const from = charon.fullLog.length;
    await connect(pair, "charon");
    await charon.said(/parsed IKE_SA_INIT response 0 \[ N\(INVAL_KE\) \]/, from);
    assert.match((await pair.karp.established()).suite ?? "", /MODP-2048$/);
  });

  test("no suite in common, begun by us: the failure says so (RFC 7296 section 2.7)", async (t) => {
    const { karp } = await makePair(t, charon, { connection: { proposals: ["aes256-sha256-modp2048"] } });
    karp.inform();
    const { failure } = await karp.event("ikeSaFailed");
    assert.equal(failure.reason, "noProposalChosen");
    assert.equal(failure.notifyType, NotifyType.NO_PROPOSAL_CHOSEN);
    await karp.gone();
  });

  test("no suite in common, begun by charon: NO_PROPOSAL_CHOSEN, no IKE SA (RFC 7296 section 2.7)", async (t) => {
    const { karp, ike } = await makePair(t, charon, { connection: { proposals: ["aes256-sha256-modp2048"] } });
    const from = charon.fullLog.length;
    await charon.initiate(ike);
    await charon.said(/parsed IKE_SA_INIT response 0 \[ N\(NO_PROP\) \]/, from);
    await charon.gone(ike);
    assert.deepEqual(karp.endpoint.ikeSas(), []);
  });

  test("many proposals, ours and charon's: each finds the common one (RFC 7296 section 3.3.6)", async (t) => {
    const suites = [{ ...aesGcm, keyExchange: [CURVE25519, ECP_384] }];
    // The responder's preference counts: charon's first proposal that fits, our first method
    for (const [by, method] of [
      ["karp", "ECP-384"],
      ["charon", "X25519"],
    ] as const) {
      const pair = await makePair(t, charon, {
        peer: { suites },
        connection: {
          proposals: [
            "aes256-aes192-sha512-sha256-modp4096-x448",
            "camellia256-sha384-modp3072",
            "aes256gcm16-aes128gcm16-prfsha512-prfsha256-ecp521-ecp384",
            "default",
          ],
        },
      });
      await connect(pair, by);
      assert.equal((await pair.karp.established()).suite, `AES-GCM-16-128, PRF-HMAC-SHA2-256, ${method}`);
    }
  });

  test("charon's own default proposals, both ways", async (t) => {
    for (const by of ["karp", "charon"] as const) {
      const pair = await makePair(t, charon, { connection: { proposals: ["default"] } });
      await connect(pair, by);
    }
  });
});

describe("IKE_SA_INIT: cookies (RFC 7296 section 2.6)", () => {
  let charon: Charon;
  before(async () => {
    // From the first half-open IKE SA on
    charon = await Charon.start(["cookie_threshold = 1", "block_threshold = 0"]);
  });
  after(() => charon.stop());

  test("charon wants a cookie: we send it first, and the rest unchanged", async (t) => {
    // Somebody begins and never comes back: now one is half-open
    const silent = await makePair(t, charon);
    silent.karp.loses = () => true;
    silent.karp.inform();
    await charon.said(/sending packet: .* to 10\.\d+\.1\.\d+/);
    const from = charon.fullLog.length;
    const pair = await makePair(t, charon);
    await connect(pair, "karp");
    await charon.said(/generating IKE_SA_INIT response 0 \[ N\(COOKIE\) \]/, from);
    await charon.said(/parsed IKE_SA_INIT request 0 \[ N\(COOKIE\) SA KE No /, from);
  });

  test("charon wants a cookie, then another key exchange method", async (t) => {
    const silent = await makePair(t, charon);
    silent.karp.loses = () => true;
    silent.karp.inform();
    await charon.said(/sending packet: .* to 10\.\d+\.1\.\d+/);
    const from = charon.fullLog.length;
    const suites = [{ ...aesGcm, keyExchange: [CURVE25519, ECP_256] }];
    const pair = await makePair(t, charon, {
      peer: { suites },
      connection: { proposals: ["aes128gcm16-prfsha256-ecp256"] },
    });
    await connect(pair, "karp");
    await charon.said(/N\(COOKIE\)/, from);
    await charon.said(/N\(INVAL_KE\)/, from);
  });

  test("we want a cookie: charon sends it", async (t) => {
    const pair = await makePair(t, charon, { settings: { cookieThreshold: 0 } });
    const from = charon.fullLog.length;
    await connect(pair, "charon");
    await charon.said(/parsed IKE_SA_INIT response 0 \[ N\(COOKIE\) \]/, from);
    assert.equal(pair.karp.endpoint.counters.cookiesSent, 1);
  });

  test("we want a cookie, then another key exchange method", async (t) => {
    const suites = [{ ...aesGcm, keyExchange: [ECP_256] }];
    const pair = await makePair(t, charon, {
      peer: { suites },
      settings: { cookieThreshold: 0 },
      connection: { proposals: ["aes128gcm16-prfsha256-x25519-ecp256"] },
    });
    const from = charon.fullLog.length;
    await connect(pair, "charon");
    await charon.said(/parsed IKE_SA_INIT response 0 \[ N\(COOKIE\) \]/, from);
    await charon.said(/parsed IKE_SA_INIT response 0 \[ N\(INVAL_KE\) \]/, from);
  });
});
