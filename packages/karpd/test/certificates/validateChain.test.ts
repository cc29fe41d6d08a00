import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { parseIdentity } from "@karp/ikev2";
import { loadSigningKey } from "@karp/ikev2/node";
import { BitString, Null, OctetString } from "asn1js";
import fc from "fast-check";
import { Extension, ExtKeyUsage, GeneralName, GeneralSubtree, NameConstraints } from "pkijs";
import {
  type CertificateRequest,
  certificatePem,
  type KeyPair,
  makeCertificate,
  makeKeyPair,
} from "../../src/runtime/certificates/makeCertificate.ts";
import { parseCertificate } from "../../src/runtime/certificates/parsedCertificate.ts";
import { validateChain } from "../../src/runtime/certificates/validateChain.ts";

const at = new Date("2030-06-01T00:00:00Z");
const validity = { notBefore: new Date("2030-01-01T00:00:00Z"), notAfter: new Date("2030-12-31T23:59:59Z") };
type Identity = ReturnType<typeof identity>;

function identity(text: string): { readonly idType: number; readonly data: Uint8Array } {
  return parseIdentity(text) ?? assert.fail(text);
}

interface Authority {
  readonly pair: KeyPair;
  readonly der: Uint8Array;
}

function authority(name: string, issuer?: Authority, more: Partial<CertificateRequest> = {}): Authority {
  const pair = makeKeyPair("ecdsa-p256");
  const signer = issuer === undefined ? { key: pair.key } : { key: issuer.pair.key, certificate: issuer.der };
  const request = { publicKey: pair.key.publicKey, commonName: name, isAuthority: true, issuer: signer, ...validity };
  return { pair, der: makeCertificate({ ...request, ...more }) };
}

const r1 = identity("r1.example.net");
const root = authority("Root");
const middle = authority("Middle", root);
const router = makeKeyPair();

function leaf(issuer: Authority, more: Partial<CertificateRequest> = {}): Uint8Array {
  const signer = { key: issuer.pair.key, certificate: issuer.der };
  const request = { publicKey: router.key.publicKey, commonName: "r1", identities: [r1], issuer: signer, ...validity };
  return makeCertificate({ ...request, ...more });
}

async function reason(
  chain: readonly Uint8Array[],
  anchors: readonly Uint8Array[] = [root.der],
  remoteIdentity: Identity = r1,
  moment = at,
): Promise<string | undefined> {
  const verdict = await validateChain({ chain, trustAnchors: anchors, remoteIdentity, at: moment });
  return verdict.ok ? undefined : verdict.reason;
}

test("a certificate of a trust anchor is valid, with Ed25519, ECDSA and RSA keys", async () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" });
  const rsaKey = loadSigningKey(rsa.toString());
  const rsaRoot = authority("RSA Root", undefined, { publicKey: rsaKey.publicKey, issuer: { key: rsaKey } });
  const rsaAuthority = { pair: { key: rsaKey, privateKeyPem: "" }, der: rsaRoot.der };
  assert.equal(await reason([leaf(rsaAuthority)], [rsaRoot.der]), undefined);
  const ed25519 = makeKeyPair("ed25519");
  const own = { publicKey: ed25519.key.publicKey, issuer: { key: ed25519.key } };
  const edRoot = authority("Ed Root", undefined, own);
  assert.equal(await reason([leaf({ pair: ed25519, der: edRoot.der })], [edRoot.der]), undefined);
  assert.equal(await reason([leaf(root)]), undefined);
});

test("a path over intermediates is found, in whatever order they come (RFC 7296 section 3.6)", async () => {
  const low = authority("Low", middle);
  const end = leaf(low);
  assert.equal(await reason([end, low.der, middle.der]), undefined);
  assert.equal(await reason([end, root.der, middle.der, low.der]), undefined);
  assert.equal(await reason([end, low.der], [middle.der]), undefined); // an intermediate as the anchor
  assert.equal(
    await reason([end, low.der]),
    "CN=Middle, who issued the certificate of CN=Low, is neither trusted nor among the certificates sent",
  );
});

test("an end entity that is itself a trust anchor is trusted, its name and dates still count", async () => {
  const own = makeCertificate({
    publicKey: router.key.publicKey,
    commonName: "r1",
    identities: [r1],
    issuer: { key: router.key },
    ...validity,
  });
  assert.equal(await reason([own], [own]), undefined);
  assert.match((await reason([own], [own], identity("r2.example.net"))) ?? "", /and not r2\.example\.net$/);
  assert.match((await reason([own], [own], r1, new Date("2031-01-01T00:00:00Z"))) ?? "", /expired/);
  assert.equal(await reason([own]), "the certificate of CN=r1 is self-signed and not trusted");
});

test("expired and not yet valid are told apart, to the second, for every certificate (RFC 5280 section 4.1.2.5)", async () => {
  const end = leaf(root);
  const when = async (moment: string): Promise<string | undefined> =>
    await reason([end], [root.der], r1, new Date(moment));
  assert.equal(
    await when("2029-12-31T23:59:59Z"),
    "the certificate of CN=r1 is not yet valid: it begins at 2030-01-01T00:00:00Z",
  );
  assert.equal(await when("2030-01-01T00:00:00Z"), undefined);
  assert.equal(await when("2030-12-31T23:59:59Z"), undefined);
  assert.equal(await when("2031-01-01T00:00:00Z"), "the certificate of CN=r1 expired at 2030-12-31T23:59:59Z");
  const old = authority("Old", root, { notAfter: new Date("2030-02-01T00:00:00Z") });
  assert.equal(await reason([leaf(old), old.der]), "the certificate of CN=Old expired at 2030-02-01T00:00:00Z");
  const oldRoot = authority("Old Root", undefined, { notAfter: new Date("2030-02-01T00:00:00Z") });
  assert.match((await reason([leaf(oldRoot)], [oldRoot.der])) ?? "", /CN=Old Root expired/);
});

test("dates from 2050 on are GeneralizedTime (RFC 5280 section 4.1.2.5)", async () => {
  const late = { notAfter: new Date("2060-01-01T00:00:00Z") };
  const lateRoot = authority("Late", undefined, late);
  assert.equal(await reason([leaf(lateRoot, late)], [lateRoot.der], r1, new Date("2055-01-01T00:00:00Z")), undefined);
});

test("an unknown issuer, or one of the same name with another key, is not trusted", async () => {
  const stranger = authority("Root"); // same name, other key
  assert.equal(await reason([leaf(stranger)]), "the signature on the certificate of CN=r1 is not that of CN=Root");
  assert.match((await reason([leaf(stranger), stranger.der])) ?? "", /signature/);
  assert.equal(await reason([leaf(root)], []), "no trust anchors are configured");
});

test("of two trust anchors with the same name the right one is found", async () => {
  const renewed = authority("Root");
  assert.equal(await reason([leaf(root)], [renewed.der, root.der]), undefined);
});

test("an end entity issues nothing (RFC 5280 section 4.2.1.9)", async () => {
  const notAuthority = authority("Router", root, { isAuthority: false });
  assert.equal(
    await reason([leaf(notAuthority), notAuthority.der]),
    "CN=Router is not a certification authority, but has issued a certificate",
  );
});

function keyUsage(octet: number): Extension {
  const bits = new BitString({ valueHex: Uint8Array.of(octet).buffer });
  return new Extension({ extnID: "2.5.29.15", critical: true, extnValue: bits.toBER() });
}

test("an authority must be allowed to sign certificates (RFC 5280 section 4.2.1.3)", async () => {
  const noIssuing = authority("No", root, { extensions: [keyUsage(0x80)] });
  assert.equal(await reason([leaf(noIssuing), noIssuing.der]), "the key usage of CN=No does not allow issuing");
});

test("an end entity must be allowed to sign (RFC 4945 section 5.1.3.2)", async () => {
  const encryptOnly = leaf(root, { extensions: [keyUsage(0x20)] });
  assert.equal(await reason([encryptOnly]), "the key usage of the certificate of CN=r1 does not allow signatures");
  assert.equal(await reason([leaf(root, { extensions: [keyUsage(0x40)] })]), undefined); // nonRepudiation
});

function purposes(...keyPurposes: readonly string[]): Extension {
  const extnValue = new ExtKeyUsage({ keyPurposes: [...keyPurposes] }).toSchema().toBER();
  return new Extension({ extnID: "2.5.29.37", critical: false, extnValue });
}

test("an extended key usage must be one for IKE (RFC 4945 section 5.1.3.12)", async () => {
  const codeSigning = leaf(root, { extensions: [purposes("1.3.6.1.5.5.7.3.3")] });
  assert.equal(await reason([codeSigning]), "the extended key usage of the certificate of CN=r1 is not for IKE");
  for (const purpose of ["1.3.6.1.5.5.7.3.17", "1.3.6.1.5.5.7.3.1", "2.5.29.37.0"]) {
    assert.equal(await reason([leaf(root, { extensions: [purposes("1.3.6.1.5.5.7.3.3", purpose)] })]), undefined);
  }
});

test("the path length is kept (RFC 5280 section 4.2.1.9)", async () => {
  const short = authority("Short", undefined, { pathLength: 0 });
  const below = authority("Below", short);
  assert.equal(await reason([leaf(short)], [short.der]), undefined);
  assert.equal(await reason([leaf(below), below.der], [short.der]), "the path below CN=Short is too long");
  const one = authority("One", undefined, { pathLength: 1 });
  const belowOne = authority("Below", one);
  assert.equal(await reason([leaf(belowOne), belowOne.der], [one.der]), undefined);
});

function strange(critical: boolean): Extension {
  return new Extension({ extnID: "1.2.3.4.5", critical, extnValue: new Null().toBER() });
}

test("an unknown critical extension refuses a certificate, an uncritical one does not (RFC 5280 section 4.2)", async () => {
  assert.equal(await reason([leaf(root, { extensions: [strange(false)] })]), undefined);
  assert.equal(
    await reason([leaf(root, { extensions: [strange(true)] })]),
    "the certificate of CN=r1 has the critical extension 1.2.3.4.5, not known here",
  );
  const odd = authority("Odd", root, { extensions: [strange(true)] });
  assert.match((await reason([leaf(odd), odd.der])) ?? "", /CN=Odd has the critical extension/);
});

test("two extensions of a kind refuse a certificate (RFC 5280 section 4.2)", async () => {
  const twice = leaf(root, { extensions: [strange(false), strange(false)] });
  assert.equal(await reason([twice]), "there is no certificate, or it does not parse");
});

const named = ["r1.example.net", "10.0.0.1", "2001:db8::1", "noc@example.net"];
for (const name of [...named, "R1.EXAMPLE.net"]) {
  test(`the identity ${name} is in the subjectAltName (RFC 4945 section 3.1)`, async () => {
    assert.equal(
      await reason([leaf(root, { identities: named.map(identity) })], [root.der], identity(name)),
      undefined,
    );
  });
}

const notNamed = [
  "r2.example.net",
  "example.net",
  "x.r1.example.net",
  "10.0.0.2",
  "::ffff:10.0.0.1",
  "Noc@example.net",
  "r1",
];
for (const name of notNamed) {
  test(`the identity ${name} is not in the subjectAltName`, async () => {
    const end = leaf(root, { identities: named.map(identity) });
    assert.equal(
      await reason([end], [root.der], identity(name)),
      `the certificate of CN=r1 names r1.example.net, 10.0.0.1, 2001:db8::1, noc@example.net, and not ${name}`,
    );
  });
}

test("the common name does not count, and a wildcard matches nothing", async () => {
  const onlyCommonName = leaf(root, { commonName: "r1.example.net", identities: [] });
  assert.equal(
    await reason([onlyCommonName]),
    "the certificate of CN=r1.example.net has no subjectAltName, and the common name does not count: r1.example.net must be in it",
  );
  const wildcard = { idType: 2, data: new TextEncoder().encode("*.example.net") };
  assert.equal(
    await reason([leaf(root, { identities: [wildcard] })]),
    "the certificate of CN=r1 names *.example.net, and not r1.example.net",
  );
});

test("a distinguished name is the subject, octet by octet (RFC 4945 section 3.1.5)", async () => {
  const end = leaf(root);
  const parsed = parseCertificate(end);
  assert.ok(parsed);
  const data = new Uint8Array(parsed.content.subject.valueBeforeDecode);
  assert.equal(await reason([end], [root.der], { idType: 9, data }), undefined);
  assert.match((await reason([end], [root.der], { idType: 9, data: data.subarray(1) })) ?? "", /and not dn:0x/);
});

test("a key id cannot be bound by a certificate", async () => {
  assert.equal(
    await reason([leaf(root)], [root.der], identity("keyid:r1")),
    "a certificate cannot name keyid:r1: pin the public key's fingerprint instead",
  );
});

function constraints(permitted: readonly GeneralName[], excluded: readonly GeneralName[] = []): Extension {
  const subtrees = (bases: readonly GeneralName[]): GeneralSubtree[] =>
    bases.map((base) => new GeneralSubtree({ base }));
  const value = new NameConstraints({
    ...(permitted.length === 0 ? {} : { permittedSubtrees: subtrees(permitted) }),
    ...(excluded.length === 0 ? {} : { excludedSubtrees: subtrees(excluded) }),
  });
  return new Extension({ extnID: "2.5.29.30", critical: true, extnValue: value.toSchema().toBER() });
}

const dns = (value: string): GeneralName => new GeneralName({ type: 2, value });
const mail = (value: string): GeneralName => new GeneralName({ type: 1, value });
const net = (...octets: readonly number[]): GeneralName =>
  new GeneralName({ type: 7, value: new OctetString({ valueHex: Uint8Array.from(octets).buffer }) });

const constrained: readonly (readonly [string, Extension, string, boolean])[] = [
  ["below a permitted domain", constraints([dns("example.net")]), "r1.example.net", true],
  ["outside of it", constraints([dns("example.org")]), "r1.example.net", false],
  ["a domain that only ends alike", constraints([dns("ample.net")]), "r1.example.net", false],
  ["excluded", constraints([], [dns("r1.example.net")]), "r1.example.net", false],
  ["not excluded", constraints([], [dns("r2.example.net")]), "r1.example.net", true],
  ["in a permitted network", constraints([net(10, 0, 0, 0, 255, 0, 0, 0)]), "10.0.0.1", true],
  ["outside of it", constraints([net(11, 0, 0, 0, 255, 0, 0, 0)]), "10.0.0.1", false],
  ["of another IP version", constraints([net(10, 0, 0, 0, 255, 0, 0, 0)]), "2001:db8::1", false],
  ["of another kind than what is constrained", constraints([dns("example.org")]), "10.0.0.1", true],
  ["a mailbox on a permitted host", constraints([mail("example.net")]), "noc@example.net", true],
  ["a mailbox below a permitted domain", constraints([mail(".example.net")]), "noc@a.example.net", true],
  ["a mailbox on a host below", constraints([mail("example.net")]), "noc@a.example.net", false],
  ["another mailbox", constraints([mail("noc@example.net")]), "x@example.net", false],
];
for (const [what, extension, name, isAllowed] of constrained) {
  test(`name constraints: ${name} ${what} (RFC 5280 section 4.2.1.10)`, async () => {
    const limited = authority("Limited", root, { extensions: [extension] });
    const end = leaf(limited, { identities: [identity(name)] });
    assert.equal(
      await reason([end, limited.der], [root.der], identity(name)),
      isAllowed ? undefined : "the names in the certificate of CN=r1 are outside of what CN=Limited may name",
    );
  });
}

test("name constraints that we do not check refuse names of their kind (RFC 5280 section 4.2.1.10)", async () => {
  const subject = parseCertificate(root.der)?.content.subject;
  assert.ok(subject);
  const limited = authority("Limited", root, {
    extensions: [constraints([new GeneralName({ type: 4, value: subject })])],
  });
  assert.match((await reason([leaf(limited), limited.der])) ?? "", /constrains names of a kind \(4\)/);
});

test("an authority with a short RSA key is refused", async () => {
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const key = {
    publicKey: Uint8Array.from(weak.publicKey.export({ type: "spki", format: "der" })),
    algorithms: ["rsa-sha256"] as const,
    sign: (_: string, data: Uint8Array) => Uint8Array.from(sign("sha256", data, weak.privateKey)),
  };
  const weakRoot = authority("Weak", undefined, { publicKey: key.publicKey, issuer: { key } });
  const end = leaf({ pair: { key, privateKeyPem: "" }, der: weakRoot.der });
  assert.equal(await reason([end], [weakRoot.der]), "the RSA key of CN=Weak is shorter than 2048 bits");
});

/** sha256WithRSAEncryption becomes sha1WithRSAEncryption: the last octet of the object identifier. */
function withSha1(octets: Uint8Array): Uint8Array {
  return Uint8Array.from(
    Buffer.from(Buffer.from(octets).toString("hex").replaceAll("2a864886f70d01010b", "2a864886f70d010105"), "hex"),
  );
}

test("a signature with SHA-1 is refused, though it is right", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = {
    publicKey: Uint8Array.from(publicKey.export({ type: "spki", format: "der" })),
    algorithms: ["rsa-sha256"] as const,
    sign: (_: string, data: Uint8Array) => Uint8Array.from(sign("sha1", withSha1(data), privateKey)),
  };
  const anchor = authority("RSA", undefined, { publicKey: key.publicKey, issuer: { key } });
  const end = withSha1(leaf({ pair: { key, privateKeyPem: "" }, der: anchor.der }));
  assert.equal(parseCertificate(end)?.x509.verify(publicKey), true);
  assert.equal(await reason([end], [anchor.der]), "the certificate of CN=r1 is signed with a weak algorithm");
});

test("certificates that issue each other in circles end, and quickly", async () => {
  // eight certificates of one name and one key: each is a good issuer of all others
  const circle = Array.from({ length: 8 }, () => authority("Circle"));
  const [first] = circle;
  assert.ok(first);
  const same = circle.map(() =>
    authority("Circle", undefined, { publicKey: first.pair.key.publicKey, issuer: { key: first.pair.key } }),
  );
  const started = process.cpuUsage();
  const answer = await reason([leaf(first), ...same.map(({ der }) => der)]);
  const { user } = process.cpuUsage(started);
  assert.notEqual(answer, undefined);
  assert.ok(user < 1_000_000, `${user} microseconds`);
});

test("what does not parse is refused: PEM, octets behind, nothing", async () => {
  const end = leaf(root);
  const malformed = "there is no certificate, or it does not parse";
  assert.equal(await reason([]), malformed);
  assert.equal(await reason([new TextEncoder().encode(certificatePem(end))]), malformed);
  assert.equal(await reason([Uint8Array.from([...end, 0])]), malformed);
});

test("property: a changed octet anywhere gives a verdict, and never a good one", async () => {
  const end = leaf(root);
  await fc.assert(
    fc.asyncProperty(fc.nat(end.length - 1), fc.integer({ min: 1, max: 255 }), async (index, change) => {
      const changed = end.with(index, (end[index] ?? 0) ^ change);
      assert.notEqual(await reason([changed]), undefined);
    }),
    { numRuns: 300 },
  );
});

test("names that a peer made up are escaped", async () => {
  const evil = leaf(root, { commonName: "r1\u001b[2J\u202e", identities: [] });
  assert.ok(!/[^ -~]/.test((await reason([evil])) ?? ""), await reason([evil]));
});
