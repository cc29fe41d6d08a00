import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, type TestContext, test } from "node:test";
import { NotifyType } from "@karp/ikev2";
import { Charon } from "../lib/charon.ts";
import { identityOf, KarpEnd, psk } from "../lib/karpEnd.ts";
import { connect, makePair, type Pair, type PairOptions } from "../lib/pair.ts";
import { Authority, type Holder, type KeyKind, makeChain, signing } from "../lib/pki.ts";

const ROLES = ["karp", "charon"] as const;
const KINDS: readonly KeyKind[] = ["Ed25519", "ECDSA P-256", "ECDSA P-384", "ECDSA P-521", "RSA 2048"];

/** Both ends with a certificate of this authority. */
async function certified(
  t: TestContext,
  charon: Charon,
  parts: {
    readonly kind: KeyKind;
    readonly ours: Authority;
    readonly theirs?: Authority;
    readonly anchor?: Authority;
    readonly others?: readonly Authority[];
    readonly auth?: string;
  },
): Promise<Pair> {
  const { kind, ours, theirs = ours, anchor = ours, others = [], auth = "pubkey" } = parts;
  const name = `${kind.toLowerCase().replaceAll(/[^a-z0-9]/g, "")}.charon.example`;
  const theirHolder = theirs.issue(kind, name);
  await charon.command("load-key", { type: "any", data: theirHolder.privateKeyPem });
  await charon.command("load-cert", { type: "X509", flag: "CA", data: anchor.holder.certificate });
  for (const other of others) {
    await charon.command("load-cert", { type: "X509", flag: "NONE", data: other.holder.certificate });
  }
  const pair = await makePair(t, charon, {
    judge: anchor.judge,
    charonPsk: null,
    peer: { remoteIdentity: identityOf(name), remoteAuthentication: { kind: "certificate" } },
    local: { auth, id: name, certs: [theirHolder.certificate] },
    remote: { auth: "pubkey" },
  });
  const ourHolder = ours.issue(kind, pair.karp.identity);
  pair.karp.configure({ localAuthentication: signing(ourHolder, ...others) });
  return pair;
}

describe("certificates and raw public keys (RFC 7296 section 2.15, RFC 7427, RFC 7670)", () => {
  let charon: Charon;
  before(async () => {
    charon = await Charon.start();
  });
  after(() => charon.stop());

  for (const kind of KINDS) {
    const authority = new Authority(kind);
    const chain = makeChain(kind);
    for (const by of ROLES) {
      test(`${kind} certificates of one authority, begun by ${by}`, async (t) => {
        const pair = await certified(t, charon, { kind, ours: authority });
        await connect(pair, by);
        const { remoteId } = await charon.established(pair.ike);
        assert.equal(remoteId, pair.karp.identity);
        assert.match((await pair.karp.established()).credentialFingerprint ?? "", /^sha256:/);
      });

      test(`${kind} certificates with an intermediate authority, begun by ${by}`, async (t) => {
        const { root, intermediate } = chain;
        const parts = { kind, ours: intermediate, anchor: root, others: [intermediate] };
        await connect(await certified(t, charon, parts), by);
      });

      test(`${kind} public keys pinned at both ends, ours shown raw, begun by ${by}`, async (t) => {
        await connect(await pinnedKeys(t, charon, authority, kind), by);
      });
    }
  }

  for (const scheme of [
    "rsa/pss-sha256",
    "rsa/pss-sha384",
    "rsa/pss-sha512",
    "rsa-sha256",
    "rsa-sha384",
    "rsa-sha512",
  ]) {
    for (const by of ROLES) {
      test(`charon signs with ${scheme}, begun by ${by}`, async (t) => {
        const authority = new Authority("RSA 2048", `Interop ${scheme}`);
        const parts = { kind: "RSA 2048", ours: authority, auth: `ike:${scheme}` } as const;
        const from = charon.fullLog.length;
        await connect(await certified(t, charon, parts), by);
        const scheme_ = scheme.includes("pss") ? "RSA_EMSA_PSS_SHA2" : "RSA_EMSA_PKCS1_SHA2";
        await charon.said(new RegExp(`\\(myself\\) with ${scheme_}_${scheme.slice(-3)}`), from);
      });
    }
  }

  for (const by of ROLES) {
    test(`charon's certificate is of an authority that we do not trust: refused, begun by ${by}`, async (t) => {
      const [ours, theirs] = [new Authority("Ed25519"), new Authority("Ed25519", "Stranger")];
      const pair = await certified(t, charon, { kind: "Ed25519", ours, theirs });
      const from = charon.fullLog.length;
      await begin(pair, by);
      if (by === "karp") {
        assert.equal((await pair.karp.event("ikeSaFailed")).failure.reason, "certificateRefused");
        // RFC 7296 section 2.21.2: charon believed that it was established, and is told
        await charon.said(/parsed INFORMATIONAL request 2 \[ N\(AUTH_FAILED\) \]/, from);
      } else {
        await charon.said(/parsed IKE_AUTH response 1 \[ N\(AUTH_FAILED\) \]/, from);
      }
      await assertNothing(pair);
    });

    test(`our certificate is of an authority that charon does not trust: refused, begun by ${by}`, async (t) => {
      const [ours, theirs] = [new Authority("Ed25519", "Stranger to charon"), new Authority("Ed25519")];
      const pair = await certified(t, charon, { kind: "Ed25519", ours, theirs, anchor: theirs });
      await begin(pair, by);
      await assertRefusedByCharon(pair, by);
    });
  }
});

/**
 * Our end shows a raw public key, which charon has in its configuration. charon never shows one: it does not know RFC 7670,
 * so it shows a certificate, of which our end has the fingerprint of the public key.
 */
async function pinnedKeys(t: TestContext, charon: Charon, authority: Authority, kind: KeyKind): Promise<Pair> {
  const name = `${kind.toLowerCase().replaceAll(/[^a-z0-9]/g, "")}.raw.example`;
  const theirs = authority.issue(kind, name);
  await charon.command("load-key", { type: "any", data: theirs.privateKeyPem });
  const fingerprint = Uint8Array.from(createHash("sha256").update(theirs.key.publicKey).digest());
  const ours: Holder = authority.issue(kind, "raw.karp.example");
  return await makePair(t, charon, {
    charonPsk: null,
    peer: {
      remoteIdentity: identityOf(name),
      localAuthentication: { kind: "signature", key: ours.key, certificates: [] },
      remoteAuthentication: { kind: "pinned", fingerprints: [fingerprint] },
    },
    connection: { send_cert: "always" },
    local: { auth: "pubkey", id: name, certs: [theirs.certificate] },
    remote: { auth: "pubkey", pubkeys: [ours.publicKeyPem] },
  });
}

describe("refusals (RFC 7296 section 2.21.2)", () => {
  let charon: Charon;
  before(async () => {
    charon = await Charon.start();
  });
  after(() => charon.stop());

  const cases: readonly { readonly name: string; readonly options: PairOptions }[] = [
    { name: "wrong PSK", options: { charonPsk: "another secret, 0123456789abcdef" } },
    {
      name: "an identity of ours that charon does not know",
      options: { remote: { id: "other.karp.example" } },
    },
    { name: "a PSK where charon wants a signature", options: { remote: { auth: "pubkey" } } },
  ];
  for (const { name, options } of cases) {
    test(`${name}, begun by karp: AUTHENTICATION_FAILED`, async (t) => {
      const pair = await makePair(t, charon, options);
      await begin(pair, "karp");
      await assertRefusedByCharon(pair, "karp");
    });
  }

  test("wrong PSK, begun by charon: AUTHENTICATION_FAILED from us", async (t) => {
    const pair = await makePair(t, charon, { charonPsk: "another secret, 0123456789abcdef" });
    const from = charon.fullLog.length;
    await begin(pair, "charon");
    await charon.said(/parsed IKE_AUTH response 1 \[ N\(AUTH_FAILED\) \]/, from);
    assert.match((await pair.karp.event("peerRejected")).detail, /AUTH value is wrong/);
    await assertNothing(pair);
  });

  test("an identity of charon's that we do not know, begun by charon: AUTHENTICATION_FAILED from us", async (t) => {
    const pair = await makePair(t, charon, { local: { id: "impostor.example" } });
    const from = charon.fullLog.length;
    await begin(pair, "charon");
    await charon.said(/parsed IKE_AUTH response 1 \[ N\(AUTH_FAILED\) \]/, from);
    assert.match((await pair.karp.event("peerRejected")).detail, /impostor\.example/);
    await assertNothing(pair);
  });

  test("an IDr that charon does not have, begun by karp: AUTHENTICATION_FAILED from charon", async (t) => {
    const pair = await makePair(t, charon, { local: { id: "impostor.example" } });
    await begin(pair, "karp");
    await assertRefusedByCharon(pair, "karp");
  });

  test("charon asks for an IDr that is not ours: AUTHENTICATION_FAILED from us", async (t) => {
    const pair = await makePair(t, charon, { remote: { id: "other.karp.example" } });
    await charon.command("load-shared", {
      id: "other",
      type: "IKE",
      data: "whatever it may be, 0123456789",
      owners: ["other.karp.example"],
    });
    const from = charon.fullLog.length;
    await begin(pair, "charon");
    await charon.said(/parsed IKE_AUTH response 1 \[ N\(AUTH_FAILED\) \]/, from);
    await assertNothing(pair);
  });

  test("charon knows no such address: NO_PROPOSAL_CHOSEN in the clear, after which we give up in our own time", async (t) => {
    const karp = await KarpEnd.open(t, charon, { peer: { localAuthentication: psk(), remoteAuthentication: psk() } });
    karp.inform();
    const { failure } = await karp.event("ikeSaFailed");
    assert.equal(failure.notifyType, NotifyType.NO_PROPOSAL_CHOSEN);
    await karp.gone();
  });
});

describe("signatures without SIGNATURE_HASH_ALGORITHMS (RFC 4754, RFC 7427 section 4)", () => {
  let charon: Charon;
  before(async () => {
    charon = await Charon.start(["signature_authentication = no"]);
  });
  after(() => charon.stop());

  for (const kind of ["ECDSA P-256", "ECDSA P-384", "ECDSA P-521"] as const) {
    for (const by of ROLES) {
      test(`${kind}, begun by ${by}`, async (t) => {
        const from = charon.fullLog.length;
        const pair = await certified(t, charon, { kind, ours: new Authority(kind) });
        await connect(pair, by);
        assert.doesNotMatch(charon.fullLog.slice(from), /sending supported signature hash/);
        await charon.said(new RegExp(`\\(myself\\) with ECDSA-${kind.slice(-3)} signature successful`), from);
      });
    }
  }

  test("Ed25519 and RSA have no older method that we use: our end says why", async (t) => {
    for (const kind of ["Ed25519", "RSA 2048"] as const) {
      const pair = await certified(t, charon, { kind, ours: new Authority(kind) });
      await begin(pair, "karp");
      const { failure } = await pair.karp.event("ikeSaFailed");
      assert.match(failure.detail, /no signature algorithm of our key/);
    }
  });
});

async function begin({ karp, charon, ike }: Pair, by: "karp" | "charon"): Promise<void> {
  if (by === "karp") karp.inform();
  else await charon.initiate(ike);
}

async function assertRefusedByCharon(pair: Pair, by: "karp" | "charon"): Promise<void> {
  if (by === "karp") {
    const { failure } = await pair.karp.event("ikeSaFailed");
    assert.deepEqual([failure.reason, failure.notifyType], ["authenticationFailed", NotifyType.AUTHENTICATION_FAILED]);
  } else {
    // RFC 7296 section 2.21.2: we believed that it was established, and are told, in one way or the other
    await pair.karp.event("ikeSaClosed");
  }
  await assertNothing(pair);
}

async function assertNothing({ karp, charon, ike }: Pair): Promise<void> {
  await Promise.all([karp.gone(), charon.gone(ike)]);
}
