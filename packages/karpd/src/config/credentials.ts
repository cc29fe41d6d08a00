import { X509Certificate } from "node:crypto";
import { IdType, parseIdentity, type SigningKey } from "@karp/ikev2";
import { loadSigningKey } from "@karp/ikev2/node";
import type { NamedFiles } from "./namedFiles.ts";
import type { Report } from "./report.ts";
import type { FileWords } from "./schema.ts";
import type { Path } from "./tree.ts";

/** What we sign with, and whom we believe. */
export interface Credentials {
  readonly key?: SigningKey;
  /** DER, end entity first. */
  readonly certificates: readonly Uint8Array[];
  readonly trustAnchors: readonly Uint8Array[];
}

/** Loads and cross-checks the files under `credentials:`. */
export async function loadCredentials(
  file: FileWords,
  files: NamedFiles,
  report: Report,
  nowMilliseconds: number,
): Promise<Credentials> {
  const { certificate, "private-key": privateKey, trust } = file.credentials ?? {};
  const [chain, key, anchors] = await Promise.all([
    loadCertificates(files, report, certificate, ["credentials", "certificate"]),
    loadPrivateKey(files, report, privateKey),
    loadCertificates(files, report, trust, ["credentials", "trust"]),
  ]);
  const isKeyMissing = privateKey === undefined && !report.hasErrorUnder(["credentials", "private-key"]);
  if (certificate !== undefined && isKeyMissing) {
    const advice = "add `private-key: /etc/karp/…` beside it";
    report.add("noPrivateKey", ["credentials", "certificate"], "a certificate without its private key", advice);
  }
  const [own] = chain;
  if (own !== undefined && file.router !== "") checkOwnCertificate(own, file.router, report, nowMilliseconds);
  if (key !== undefined && own !== undefined) checkOwnKey(chain, key, report);
  for (const anchor of anchors) checkTrust(anchor, report, nowMilliseconds);
  const octets = (certificates: readonly X509Certificate[]) => certificates.map(({ raw }) => new Uint8Array(raw));
  return { certificates: octets(chain), trustAnchors: octets(anchors), ...(key === undefined ? {} : { key }) };
}

async function loadPrivateKey(
  files: NamedFiles,
  report: Report,
  name: string | undefined,
): Promise<SigningKey | undefined> {
  const at = ["credentials", "private-key"];
  const content = name === undefined ? undefined : await files.readSecret(name, at);
  if (content === undefined) return undefined;
  try {
    return loadSigningKey(content);
  } catch (error) {
    const reason = error instanceof Error ? error.message : "it does not load";
    const advice = "make one with: openssl genpkey -algorithm ed25519 -out FILE && chmod 600 FILE";
    report.add("badPrivateKey", at, `${name} is of no use as private key: ${reason}`, advice);
    return undefined;
  } finally {
    content.fill(0);
  }
}

async function loadCertificates(
  files: NamedFiles,
  report: Report,
  name: string | undefined,
  at: Path,
): Promise<readonly X509Certificate[]> {
  const content = name === undefined ? undefined : await files.readPublic(name, at);
  if (content === undefined) return [];
  const text = Buffer.from(content).toString("latin1");
  const blocks = text.match(pemCertificate) ?? [];
  const begun = text.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/g) ?? [];
  try {
    if (begun.length !== blocks.length) throw new Error("a block is cut off");
    if (blocks.length > 0) return blocks.map((block) => new X509Certificate(block));
    return [new X509Certificate(Buffer.from(content))]; // DER
  } catch {
    const advice = "name a file with -----BEGIN CERTIFICATE----- in it; look at it with: openssl x509 -in FILE -text";
    report.add("badCertificate", at, `${name} holds no certificate that can be read`, advice);
    return [];
  }
}

const pemCertificate =
  /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g;

function checkOwnCertificate(certificate: X509Certificate, router: string, report: Report, now: number): void {
  const at = ["credentials", "certificate"];
  if (!namesRouter(certificate, router)) {
    const names = certificate.subjectAltName ?? "no subjectAltName at all";
    const advice = "have a certificate made with this name as subjectAltName, or correct `router`";
    report.add("certificateNames", at, `the certificate does not name \`${router}\`: it has ${names}`, advice);
  }
  if (certificate.validToDate.getTime() < now) {
    const advice = "have a new one made: peers refuse this one at the next authentication (keys in use stay)";
    report.add("expired", at, `the certificate expired at ${certificate.validToDate.toISOString()}`, advice, {
      severity: "warning",
    });
  } else if (certificate.validFromDate.getTime() > now) {
    const advice = "look at this machine's clock, or wait";
    report.add(
      "notYetValid",
      at,
      `the certificate is valid from ${certificate.validFromDate.toISOString()} on`,
      advice,
      { severity: "warning" },
    );
  }
}

/** The chain begins with our own certificate (RFC 7296 section 3.6). */
function checkOwnKey(chain: readonly X509Certificate[], key: SigningKey, report: Report): void {
  const place = chain.findIndex(({ publicKey }) =>
    publicKey.export({ format: "der", type: "spki" }).equals(key.publicKey),
  );
  if (place === 0) return;
  if (place > 0) {
    const what = `the certificate of the private key is number ${place + 1} in its file`;
    report.add("chainOrder", ["credentials", "certificate"], what, "put it first, then the intermediate ones");
    return;
  }
  const advice = "name the key that belongs to the certificate, or have a certificate made for this key";
  const at = ["credentials", "private-key"];
  report.add("keyMismatch", at, "the private key does not belong to the certificate", advice);
}

function checkTrust(anchor: X509Certificate, report: Report, now: number): void {
  const at = ["credentials", "trust"];
  const subject = anchor.subject.replaceAll("\n", ", ");
  if (!anchor.ca) {
    const advice = "name the authority's certificate; a single peer is trusted by `fingerprint:` under its session";
    report.add("notAnAuthority", at, `the certificate of ${subject} is not an authority's`, advice);
  } else if (anchor.validToDate.getTime() < now) {
    const advice = "put the authority's new certificate into the file: what it signed is refused";
    report.add("expired", at, `the certificate of ${subject} expired at ${anchor.validToDate.toISOString()}`, advice, {
      severity: "warning",
    });
  }
}

/** The identity must stand in subjectAltName, whole (RFC 4945 section 3.1): a common name or a wildcard does not count. */
function namesRouter(certificate: X509Certificate, router: string): boolean {
  const identity = parseIdentity(router);
  switch (identity?.idType ?? 0) {
    case IdType.ID_FQDN:
      return certificate.checkHost(router, { subject: "never", wildcards: false }) !== undefined;
    case IdType.ID_IPV4_ADDR:
    case IdType.ID_IPV6_ADDR:
      return certificate.checkIP(router) !== undefined;
    case IdType.ID_RFC822_ADDR:
      return certificate.checkEmail(router, { subject: "never" }) !== undefined;
    default:
      return true; // keyid: and dn: are compared by who validates the chain
  }
}
