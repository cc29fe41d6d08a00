import assert from "node:assert/strict";
import { test } from "node:test";
import { type IkePeer, parseIdentity, Secret } from "@karp/ikev2";
import { credentialLines } from "../../src/doctor/credentials.ts";
import { makeCertificate, makeKeyPair } from "../../src/runtime/certificates/makeCertificate.ts";

const DAY = 86_400_000;
const start = Date.parse("2030-01-01T00:00:00Z");
const [rootKey, routerKey] = [makeKeyPair(), makeKeyPair()];

const root = makeCertificate({
  publicKey: rootKey.key.publicKey,
  commonName: "Root",
  notBefore: new Date(start),
  notAfter: new Date(start + 1000 * DAY),
  issuer: { key: rootKey.key },
  isAuthority: true,
});
const router = makeCertificate({
  publicKey: routerKey.key.publicKey,
  commonName: "r1",
  identities: [identity("r1.example.net")],
  notBefore: new Date(start),
  notAfter: new Date(start + 100 * DAY),
  issuer: { key: rootKey.key, certificate: root },
});

function identity(text: string) {
  return parseIdentity(text) ?? assert.fail(text);
}

const own = { kind: "signature", key: routerKey.key, certificates: [router] } as const;

function peer(
  localAuthentication: IkePeer["localAuthentication"] = own,
  remoteAuthentication: IkePeer["remoteAuthentication"] = { kind: "certificate" },
): IkePeer {
  return {
    name: "r2.example.net",
    localIdentity: identity("r1.example.net"),
    remoteIdentity: identity("r2.example.net"),
    local: { address: "127.0.0.1", port: 500 },
    remote: { address: "127.0.0.2", port: 500 },
    localAuthentication,
    remoteAuthentication,
    suites: [],
    rekeyAfterSeconds: 1,
    reauthenticateAfterSeconds: 1,
    livenessAfterSeconds: 1,
  };
}

async function lines(days: number, who = peer(), anchors: readonly Uint8Array[] = [root]) {
  const found = await credentialLines(who, anchors, start + days * DAY);
  for (const { todo } of found) assert.ok(todo.length > 0);
  return found.map(({ severity, about, text, todo }) => `${severity} ${about}: ${text} -> ${todo}`);
}

test("a certificate's end, and how far it is: well, soon, over, not begun", async () => {
  assert.match(
    (await lines(10))[0] ?? "",
    /^ok our credential: certificate of CN=r1 until 2030-04-11T00:00:00Z: 90 days ->/,
  );
  assert.match((await lines(71))[0] ?? "", /^warning our credential: .* 29 days -> have a new one made$/);
  const over = await lines(101);
  assert.match(
    over[0] ?? "",
    /^error our credential: .* expired at 2030-04-11T00:00:00Z -> .* the next authentication fails$/,
  );
  assert.match(
    (await lines(-1))[0] ?? "",
    /^error our credential: .* valid from 2030-01-01T00:00:00Z on, and the clock here says 2029-12-31T00:00:00Z -> set the clock/,
  );
});

test("our chain is judged as a peer with our authorities judges it", async () => {
  assert.match((await lines(10))[1] ?? "", /^ok our credential: leads to an authority/);
  const other = makeKeyPair();
  const stranger = makeCertificate({
    publicKey: other.key.publicKey,
    commonName: "Stranger",
    notBefore: new Date(start),
    notAfter: new Date(start + 1000 * DAY),
    issuer: { key: other.key },
    isAuthority: true,
  });
  assert.match(
    (await lines(10, peer(), [stranger]))[1] ?? "",
    /^warning our credential: would not be accepted .* -> put the intermediate/,
  );
  const pinned = peer(own, { kind: "pinned", fingerprints: [new Uint8Array(32)] });
  assert.ok(!(await lines(10, pinned, [stranger])).some((line) => /accepted/.test(line)), "nobody asked an authority");
});

test("the authorities' ends too; raw public keys and pre-shared keys have none", async () => {
  assert.match(
    (await lines(980)).at(-1) ?? "",
    /^warning the peer's credential: certificate of CN=Root until .*: 20 days -> put the authority's new one/,
  );
  const psk = { kind: "psk", secret: new Secret(Uint8Array.from({ length: 32 }, (_, n) => 0x40 + n)) } as const;
  const shared = await lines(10, peer(psk, psk));
  assert.match(
    shared.join("\n"),
    /^ok our credential: a pre-shared key as r1\.example\.net.*\nok the peer's credential: r2\.example\.net has to prove/,
  );
  assert.ok(!shared.join().includes("@ABC"), "the key itself is nowhere");
  const raw = peer({ ...own, certificates: [] }, { kind: "pinned", fingerprints: [new Uint8Array(32)] });
  assert.match((await lines(10, raw)).join("\n"), /a raw public key as r1.*\n.*one of 1 pinned public keys/);
});
