import assert from "node:assert/strict";
import { test } from "node:test";
import type { IkeLogEvent } from "@karp/ikev2";
import type { KeyView } from "../../src/core/views.ts";
import { type AlgorithmFacts, algorithmLines } from "../../src/doctor/algorithms.ts";
import { clockLines } from "../../src/doctor/clock.ts";
import { natLine } from "../../src/doctor/nat.ts";
import { drivers } from "../../src/drivers/index.ts";
import { NatWitness } from "../../src/runtime/natWitness.ts";
import { sessionOf } from "../drivers/support.ts";

const all = new Set(["aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha-256-128"] as const);

function keyView(changes: Partial<KeyView> = {}): KeyView {
  return {
    adminKeyName: "r2/0000000000000001",
    session: "r2",
    sendId: 1,
    recvId: 2,
    algorithm: "aes-128-cmac-96",
    coversTcpOptions: true,
    fingerprint: "00",
    state: "current",
    createdBy: "ike",
    peerIdentity: "r2.example.net",
    peerState: "in-use",
    history: { held: "2030-01-01T00:00:00.000Z" },
    ...changes,
  };
}

function lines(session = sessionOf("bird", {}), changes: Partial<AlgorithmFacts> = {}): readonly string[] {
  const facts = { abilities: drivers.bird, kernel: all, keys: undefined, ...changes };
  return algorithmLines(session, facts).map(
    ({ severity, about, text, todo }) => `${severity} ${about}: ${text} -> ${todo}`,
  );
}

test("algorithms: what session, driver and kernel have in common", () => {
  assert.match(
    lines()[0] ?? "",
    /^ok session r2: algorithms: aes-128-cmac-96, hmac-sha-1-96 with driver bird and kernel;/,
  );
  const sha256 = sessionOf("bird", {}, { algorithms: ["hmac-sha-256-128"] });
  assert.match(
    lines(sha256)[0] ?? "",
    /^error .* driver bird can none of hmac-sha-256-128 -> set `algorithms:` to some of aes-128/,
  );
  assert.match(
    lines(undefined, { kernel: new Set() })[0] ?? "",
    /^error .* the kernel has no TCP-AO -> see: karp doctor --kernel$/,
  );
  const onlySha1 = lines(undefined, { kernel: new Set(["hmac-sha-1-96"] as const) });
  assert.match(onlySha1[0] ?? "", /^ok session r2: algorithms: hmac-sha-1-96 with/);
  assert.match(lines(undefined, { kernel: undefined })[0] ?? "", /\(the kernel could not be asked\)/);
  const elsewhere = lines(sessionOf("exec", {}), { abilities: drivers.exec, kernel: new Set() });
  assert.match(elsewhere[0] ?? "", /^ok .* with driver exec;/, "its keys go to another machine");
  assert.match(lines(undefined, { keys: [keyView()] })[0] ?? "", /the key in use has aes-128-cmac-96/);
});

test("option flag: what is possible, what the key in use has, and when they differ", () => {
  assert.match(lines()[1] ?? "", /^ok session r2: option flag: TCP options: covered;/);
  const both = sessionOf("linux", {}, { tcpOptions: ["omitted", "covered"] });
  assert.match(lines(both, { abilities: drivers.exec })[1] ?? "", /omitted or else covered, as the peer takes it/);
  assert.match(lines(both)[1] ?? "", /TCP options: covered;/, "BIRD cannot leave them out");
  const never = sessionOf("bird", {}, { tcpOptions: ["omitted"] });
  assert.match(lines(never)[1] ?? "", /^error .* -> set `tcp-options` to covered at both ends$/);
  const used = lines(undefined, { keys: [keyView({ session: "r3" }), keyView({ coversTcpOptions: false })] });
  assert.match(used[1] ?? "", /^warning .* the key in use has TCP options omitted, .* -> karp rekey r2$/);
  assert.match(lines(undefined, { keys: [keyView()] })[1] ?? "", /^ok .*: covered by the key in use/);
});

test("clock: set back, kept by nobody, and a failure over a date", () => {
  const nowMilliseconds = Date.parse("2030-01-01T00:00:00Z");
  const facts = { nowMilliseconds, isSynchronized: true, keys: [keyView()] };
  const said = (changes: object) =>
    clockLines({ ...facts, ...changes }).map(({ severity, text }) => `${severity} ${text}`);
  assert.match(said({}).join("\n"), /^ok it is 2030-01-01T00:00:00\.000Z here, kept right by a time service;/);
  assert.match(said({ isSynchronized: undefined }).join("\n"), /^ok it is 2030-01-01T00:00:00\.000Z here;/);
  assert.match(said({ isSynchronized: false }).join("\n"), /^warning .* nobody keeps the clock right$/);
  const later = keyView({ history: { held: "2030-01-01T00:00:04.000Z", installed: "2030-01-01T00:10:00.000Z" } });
  assert.match(
    said({ keys: [later] }).join("\n"),
    /^error .* key r2\/0000000000000001 has a date of 2030-01-01T00:10:00\.000Z: this clock was set back$/,
  );
  const refused = "the certificate of CN=r2 is not yet valid: it begins at 2030-01-01T00:09:00Z";
  assert.match(said({ lastFailure: refused }).join("\n"), /^warning the last authentication failed over a date: /);
  assert.match(said({ lastFailure: "10.0.0.2 did not answer" }).join("\n"), /^ok /);
});

test("NAT: seen in the last IKE_SA_INIT with that peer, until one without (RFC 7296 section 2.23)", () => {
  const peers = [{ name: "r2", remote: { address: "10.0.0.2", port: 500 } }] as never;
  const witness = new NatWitness();
  const hear = (event: Partial<IkeLogEvent>) =>
    witness.hear({ name: "", level: "info", detail: "", ...event }, peers, 0);
  const remote = { address: "10.0.0.2", port: 4501 };
  // as responder: the address is said; as initiator: the peer's name
  hear({ name: "natDetected", remote, detail: "a NAT" });
  hear({ name: "saInitDone", remote });
  assert.deepEqual(witness.seen, [{ at: "1970-01-01T00:00:00.000Z", remote: "10.0.0.2", detail: "a NAT" }]);
  hear({ name: "saInitDone", peer: "r3" });
  hear({ name: "saInitRefused", remote });
  assert.equal(witness.seen.length, 1, "nothing of that exchange");
  hear({ name: "saInitDone", peer: "r2" });
  assert.deepEqual(witness.seen, []);
  hear({ name: "natDetected", peer: "r2", remote, detail: "a NAT" });
  hear({ name: "saInitDone", peer: "r2" });
  assert.equal(witness.seen.length, 1);
  for (let n = 0; n < 300; n++) {
    hear({ name: "natDetected", remote: { address: `192.0.2.${n & 255}`, port: n }, detail: "a NAT" });
  }
  assert.equal(witness.seen.length, 1, "strangers send what they like, from any address");

  const [found] = natLine(witness.seen[0], true);
  assert.deepEqual([found?.severity, found?.text], ["error", "a NAT (1970-01-01T00:00:00.000Z)"]);
  assert.equal(natLine(undefined, true)[0]?.severity, "ok");
  assert.match(natLine(undefined, false)[0]?.text ?? "", /not known while there is no IKE SA/);
});
