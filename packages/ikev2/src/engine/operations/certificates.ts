/** CERT and CERTREQ payloads of our own: X.509 chains (RFC 7296 section 3.6) and raw public keys (RFC 7670). */
import type { CertPayload, CertReqPayload } from "../../codec/message.ts";
import { certPayloads } from "../../crypto/credential.ts";
import { CertificateEncoding } from "../../registry/certificateEncoding.ts";
import type { LocalAuthentication, RemoteAuthentication } from "../machine.ts";

/** What we show: our chain, or our raw public key. Nothing for a PSK. */
export function ownCertificates(authentication: LocalAuthentication): readonly CertPayload[] {
  return authentication.kind === "psk" ? [] : certPayloads(authentication.key.publicKey, authentication.certificates);
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
