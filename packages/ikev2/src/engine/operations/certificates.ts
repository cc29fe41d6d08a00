/** CERT and CERTREQ payloads: X.509 chains (RFC 7296 section 3.6) and raw public keys (RFC 7670). */
import { equalBytes } from "../../bytes/bytes.ts";
import type { CertPayload, CertReqPayload, Payload } from "../../codec/message.ts";
import type { CryptoProvider } from "../../crypto/provider.ts";
import { CertificateEncoding } from "../../registry/certificateEncoding.ts";
import type { LocalAuthentication, RemoteAuthentication } from "../machine.ts";
import { payloadsOf } from "../payloads.ts";

/** The public key that the peer wants to be known by. */
export interface ShownKey {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** SHA-256 of it. */
  readonly fingerprint: Uint8Array;
  /** X.509 certificates, DER, end entity first; empty for a raw public key. */
  readonly chain: readonly Uint8Array[];
}

/** What we show: our chain, or our raw public key. Nothing for a PSK. */
export function ownCertificates(authentication: LocalAuthentication): readonly CertPayload[] {
  if (authentication.kind === "psk") return [];
  const { key, certificates } = authentication;
  return certificates.length === 0
    ? [{ kind: "CERT", encoding: CertificateEncoding.RAW_PUBLIC_KEY, data: key.publicKey }]
    : certificates.map((data) => ({ kind: "CERT", encoding: CertificateEncoding.X509_SIGNATURE, data }));
}

/**
 * What we ask for. We name no authorities: which anchors are trusted is not the engine's to know, and a peer whose
 * chain ends elsewhere is refused anyway. For raw public keys the field MUST be empty (RFC 7670 section 3).
 */
export function certificateRequest(authentication: RemoteAuthentication): readonly CertReqPayload[] {
  const request = (encoding: number): CertReqPayload => ({ kind: "CERTREQ", encoding, authorities: new Uint8Array(0) });
  switch (authentication.kind) {
    case "psk":
      return [];
    case "pinned":
      return [request(CertificateEncoding.RAW_PUBLIC_KEY), request(CertificateEncoding.X509_SIGNATURE)];
    case "certificate":
      return [request(CertificateEncoding.X509_SIGNATURE)];
  }
}

/**
 * RFC 7296 section 1.2: the first certificate MUST hold the key that verifies AUTH. Undefined when the peer showed
 * nothing that we understand.
 */
export function shownKey(crypto: CryptoProvider, payloads: readonly Payload[]): ShownKey | undefined {
  const certificates = payloadsOf(payloads, "CERT");
  const [first] = certificates;
  if (first === undefined) return undefined;
  if (first.encoding === CertificateEncoding.RAW_PUBLIC_KEY) return keyOf(crypto, new Uint8Array(first.data), []);
  if (first.encoding !== CertificateEncoding.X509_SIGNATURE) return undefined;
  const publicKey = crypto.publicKeyOfCertificate(first.data);
  if (publicKey === undefined) return undefined;
  const chain = certificates
    .filter(({ encoding }) => encoding === CertificateEncoding.X509_SIGNATURE)
    .map(({ data }) => new Uint8Array(data));
  return keyOf(crypto, publicKey, chain);
}

export function isPinned(key: ShownKey, fingerprints: readonly Uint8Array[]): boolean {
  return fingerprints.some((fingerprint) => equalBytes(fingerprint, key.fingerprint));
}

function keyOf(crypto: CryptoProvider, publicKey: Uint8Array, chain: readonly Uint8Array[]): ShownKey {
  return { publicKey, fingerprint: crypto.digest("sha256", publicKey), chain };
}
