import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { diffConfiguration, diffSettings } from "../../src/config/diffConfiguration.ts";
import { credentials, Project, r2 } from "./project.ts";

const base = `router: r1.example.net\n${credentials}\nsessions:\n${r2}\n`;

test("nothing changes when the file is the same, also when it is loaded twice", async (t) => {
  assert.deepEqual(await diff(t, base, base), []);
  assert.deepEqual(await diff(t, base, `# a comment\n${base}rollover: { every: 30d }\n`), []);
});

test("sessions added and removed", async (t) => {
  const r3 = "  r3: { driver: bird, local: 10.0.0.1, remote: 10.0.0.3, peer: r3.example.net, mode: required }\n";
  assert.deepEqual(await diff(t, base, base + r3), [
    "session r3 is added: bgp 10.0.0.1 - 10.0.0.3 with r3.example.net, driver bird, mode required",
  ]);
  assert.deepEqual(await diff(t, base + r3, base), [
    "session r3 is removed; its keys stay in the routing daemon: bgp 10.0.0.1 - 10.0.0.3 with r3.example.net, driver bird, mode required",
  ]);
});

test("changed words of a session, one sentence for each", async (t) => {
  const named = `listen: 10.0.0.1\n${base}`;
  const changed = named
    .replace(
      "peer:",
      "mode: opportunistic, pfs: false, tcp-options: [omitted], vrf: blue, bird: { interval: 9s }, peer:",
    )
    .concat("rollover: { every: 10d }\n");
  assert.deepEqual(await diff(t, named, changed), [
    "session r2: driver settings interval nothing becomes 9s; mode observe becomes opportunistic; " +
      'tcp options ["covered"] becomes ["omitted"]; pfs true becomes false; ' +
      "rollover every (seconds) 2592000 becomes 864000; rollover hard (seconds) 7776000 becomes 2592000; vrf nothing becomes blue",
  ]);
});

test("a peer's port and its IKE SA", async (t) => {
  assert.deepEqual(await diff(t, base, base.replace("peer:", "peer-port: 5500, ike-sa: release, peer:")), [
    "peer r2.example.net: remote address 10.0.0.2:500 becomes 10.0.0.2:5500; release after idle (seconds) never becomes 60",
  ]);
});

test("a changed credential is said without showing it", async (t) => {
  const psk = base.replace("peer:", "psk-file: r2.psk, peer:");
  const other = psk.replace("r2.psk", "r3.psk");
  const pinned = base.replace("peer:", `fingerprint: "sha256:${"ab".repeat(32)}", peer:`);
  const expected = ["peer r2.example.net: credential changes: the IKE SA is made again, keys in use stay"];
  assert.deepEqual(await diff(t, base, psk), expected);
  assert.deepEqual(await diff(t, psk, other), expected);
  assert.deepEqual(await diff(t, base, pinned), expected);
  assert.deepEqual(await diff(t, psk, psk), []);
});

test("where karp listens, and whom it lets vouch for peers", async (t) => {
  assert.deepEqual(await diff(t, `listen: [500]\n${base}`, `listen: [500, 4500]\n${base}`), [
    "listen: 10.0.0.1:500 becomes 10.0.0.1:4500, 10.0.0.1:500",
  ]);
  const trusting = new Project(t);
  const [before, after] = [await trusting.load(base), await trusting.load(base)];
  assert.ok(before.ok && after.ok);
  const none = { ...after.daemon, trustAnchors: [] };
  assert.deepEqual(diffSettings(before.daemon, after.daemon), []);
  assert.deepEqual(diffSettings(before.daemon, none), [
    "trust: other authorities (1 certificates become 0); IKE SAs that are up stay",
  ]);
});

test("another router name", async (t) => {
  const other = base.replace("r1.example.net", "10.0.0.1");
  assert.deepEqual(await diff(t, base, other), ["router: r1.example.net becomes 10.0.0.1"]);
});

async function diff(t: TestContext, before: string, after: string): Promise<readonly string[]> {
  const project = new Project(t);
  const [old, now] = [await project.load(before), await project.load(after)];
  assert.ok(old.ok && now.ok, JSON.stringify([old, now]));
  return [...diffConfiguration(old.configuration, now.configuration), ...diffSettings(old.daemon, now.daemon)];
}
