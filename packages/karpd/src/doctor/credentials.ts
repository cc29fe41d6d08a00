import { X509Certificate } from "node:crypto";
import { escapeText, formatIdentity, type IkePeer } from "@karp/ikev2";
import { validateChain } from "../runtime/certificates/validateChain.ts";
import { type DoctorFinding, linesAbout } from "./finding.ts";

/** Time to have a new certificate made. */
const SOON_DAYS = 30;
const DAY_MILLISECONDS = 86_400_000;

/** Who we say we are and how we prove it, and how the peer has to: with the ends of validity on this machine's clock. */
export async function credentialLines(
  peer: IkePeer,
  trustAnchors: readonly Uint8Array[],
  nowMilliseconds: number,
): Promise<readonly DoctorFinding[]> {
  return [
    ...(await ownLines(peer, trustAnchors, nowMilliseconds)),
    ...remoteLines(peer, trustAnchors, nowMilliseconds),
  ];
}

async function ownLines(
  peer: IkePeer,
  trustAnchors: readonly Uint8Array[],
  nowMilliseconds: number,
): Promise<readonly DoctorFinding[]> {
  const { ok, warning } = linesAbout("our credential");
  const { localAuthentication: own, localIdentity } = peer;
  const name = formatIdentity(localIdentity);
  if (own.kind === "psk")
    return [ok(`a pre-shared key as ${name}; it has no end, and both ends must have the same octets`)];
  const [endEntity] = own.certificates;
  if (endEntity === undefined) return [ok(`a raw public key as ${name}; the peer must have its fingerprint`)];
  const findings = own.certificates.map((der) =>
    validity("our credential", der, nowMilliseconds, "have a new one made"),
  );
  if (peer.remoteAuthentication.kind !== "certificate") return findings;
  // Most peers trust the authorities that we trust
  const at = new Date(nowMilliseconds);
  const verdict = await validateChain({ chain: own.certificates, trustAnchors, remoteIdentity: localIdentity, at });
  if (verdict.ok)
    return [...findings, ok("leads to an authority in our own `trust` file: a peer with the same file accepts it")];
  const todo =
    "put the intermediate certificates behind it into its file; a peer with other authorities may still accept it";
  return [...findings, warning(`would not be accepted by a peer with our \`trust\` file: ${verdict.reason}`, todo)];
}

function remoteLines(
  peer: IkePeer,
  trustAnchors: readonly Uint8Array[],
  nowMilliseconds: number,
): readonly DoctorFinding[] {
  const about = "the peer's credential";
  const { ok } = linesAbout(about);
  const name = formatIdentity(peer.remoteIdentity);
  switch (peer.remoteAuthentication.kind) {
    case "psk":
      return [ok(`${name} has to prove the pre-shared key`)];
    case "pinned":
      return [ok(`${name} has to have one of ${peer.remoteAuthentication.fingerprints.length} pinned public keys`)];
    case "certificate":
      return [
        ok(`${name} has to have a certificate with that name from one of ${trustAnchors.length} authorities`),
        ...trustAnchors.map((der) => validity(about, der, nowMilliseconds, "put the authority's new one into `trust`")),
      ];
  }
}

function validity(about: string, der: Uint8Array, nowMilliseconds: number, todo: string): DoctorFinding {
  const { ok, warning, error } = linesAbout(about);
  const certificate = new X509Certificate(der);
  const title = escapeText((certificate.subject ?? certificate.subjectAltName ?? "").replaceAll("\n", ", "), 128);
  const [from, to] = [certificate.validFromDate, certificate.validToDate];
  const ends = `certificate of ${title} until ${text(to)}`;
  if (from.getTime() > nowMilliseconds) {
    const what = `certificate of ${title} is valid from ${text(from)} on, and the clock here says ${text(new Date(nowMilliseconds))}`;
    return error(what, "set the clock, or wait");
  }
  const days = Math.floor((to.getTime() - nowMilliseconds) / DAY_MILLISECONDS);
  if (to.getTime() < nowMilliseconds)
    return error(
      `certificate of ${title} expired at ${text(to)}`,
      `${todo}; keys in use stay, the next authentication fails`,
    );
  if (days < SOON_DAYS) return warning(`${ends}: ${days} days`, todo);
  return ok(`${ends}: ${days} days`);
}

/** RFC 3339 in UTC; certificates know no fractions of a second. */
function text(moment: Date): string {
  return `${moment.toISOString().slice(0, 19)}Z`;
}
