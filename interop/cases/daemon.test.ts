import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { certificatePem } from "../../packages/karpd/src/runtime/certificates/makeCertificate.ts";
import { Charon } from "../lib/charon.ts";
import { type DaemonSite, KarpDaemon } from "../lib/karpDaemon.ts";
import { PSK } from "../lib/karpEnd.ts";
import { Authority, type KeyKind } from "../lib/pki.ts";
import type { ViciSection } from "../lib/vici.ts";

describe("karp run with charon", () => {
  let charon: Charon;
  before(async () => {
    charon = await Charon.start();
  });
  after(() => charon.stop());

  function makeSite(): DaemonSite {
    const address = charon.site.here();
    return { charon, address, identity: `${address.replaceAll(".", "-")}.karp.example` };
  }

  function connection({ address }: DaemonSite, local: ViciSection, remote: ViciSection): Promise<string> {
    return charon.connection({
      version: "2",
      local_addrs: [charon.address],
      remote_addrs: [address],
      childless: "allow",
      // The daemon begins at once, and charon may too
      unique: "never",
      local,
      remote,
      children: { esp: { esp_proposals: ["aes128gcm16"], mode: "transport" } },
    });
  }

  async function withPsk(site: DaemonSite): Promise<string> {
    await charon.command("load-shared", { id: site.identity, type: "IKE", data: PSK, owners: [site.identity] });
    return await connection(site, { auth: "psk", id: "charon.example" }, { auth: "psk", id: site.identity });
  }

  test("PSK, begun by karp: established, and `show peers` says that charon makes no MKTs", async (t) => {
    const site = makeSite();
    const ike = await withPsk(site);
    const words = { session: { peer: "charon.example", "psk-file": "psk" }, files: { psk: PSK } };
    const daemon = await KarpDaemon.run(t, site, words);
    const peer = await daemon.shows(({ ikeSa }) => ikeSa === "established");
    assert.deepEqual([peer.role, peer.speaksKarp], ["initiator", false]);
    const sa = await charon.established(ike);
    assert.equal(sa.remoteId, site.identity);
    assert.equal(sa.children, 0);
    await daemon.said(/NO_PROPOSAL_CHOSEN/);
    // charon's ESP gets the same answer, in the same IKE SA
    const from = charon.fullLog.length;
    await charon.initiate(ike, "esp");
    await charon.said(/parsed CREATE_CHILD_SA response \d+ \[ N\(NO_PROP\) \]/, from);
    await charon.established(ike);
  });

  for (const kind of ["Ed25519", "ECDSA P-256", "RSA 2048"] as const satisfies readonly KeyKind[]) {
    test(`${kind} certificates: established, and ended by each end in turn`, async (t) => {
      const site = makeSite();
      const authority = new Authority(kind, `Interop daemon ${kind}`);
      const name = `${kind.toLowerCase().replaceAll(/[^a-z0-9]/g, "")}.charon.example`;
      const theirs = authority.issue(kind, name);
      const ours = authority.issue(kind, site.identity);
      await charon.command("load-key", { type: "any", data: theirs.privateKeyPem });
      await charon.command("load-cert", { type: "X509", flag: "CA", data: authority.holder.certificate });
      const local = { auth: "pubkey", id: name, certs: [theirs.certificate] };
      const ike = await connection(site, local, { auth: "pubkey", id: site.identity });
      const daemon = await KarpDaemon.run(t, site, {
        session: { peer: name },
        top: { credentials: { certificate: "r1.pem", "private-key": "r1.key", trust: "ca.pem" } },
        files: {
          "r1.pem": certificatePem(ours.certificate),
          "r1.key": ours.privateKeyPem,
          "ca.pem": certificatePem(authority.holder.certificate),
        },
      });
      await daemon.shows(({ ikeSa }) => ikeSa === "established");
      await charon.established(ike);
      // charon ends it, and begins another, from port 4500 as is its way
      await charon.command("terminate", { ike, timeout: "5000" });
      await charon.initiate(ike);
      const sa = await charon.established(ike);
      assert.equal(sa.isInitiator, true);
      const peer = await daemon.shows(({ ikeSa, role }) => ikeSa === "established" && role === "responder");
      assert.equal(peer.speaksKarp, false);
    });
  }

  test("wrong PSK: never established, and `show peers` says why", async (t) => {
    const site = makeSite();
    const ike = await withPsk(site);
    const files = { psk: "0f4b6a7d1c2e3f405162738495a6b7c8" };
    const daemon = await KarpDaemon.run(t, site, { session: { peer: "charon.example", "psk-file": "psk" }, files });
    const peer = await daemon.shows(({ lastFailure }) => lastFailure !== undefined);
    assert.match(peer.lastFailure?.text ?? "", /AUTHENTICATION_FAILED|authentication/i);
    assert.deepEqual(await charon.sas(ike), []);
    assert.doesNotMatch(daemon.log, new RegExp(files.psk));
  });
});
