import { hex } from "../bytes/hex.ts";
import type { Secret } from "../bytes/secret.ts";
import { utf8Encode } from "../bytes/utf8.ts";
import type { CertPayload } from "../codec/message.ts";
import { CertificateEncoding } from "../registry/certificateEncoding.ts";
import type { CryptoProvider } from "./provider.ts";

/** What a peer's CERT payloads hold: the public key that AUTH is checked with, and where it comes from. */
export interface PresentedCredential {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** X.509 certificates (DER), end entity first; empty for a raw public key. Nothing about them is validated yet. */
  readonly chain: readonly Uint8Array[];
}

/** RFC 7296 section 3.6 wants no limit; ours keeps the work of an unauthenticated peer small. */
const maximumCertificates = 8;

/**
 * The credential in CERT payloads, in the order of the message: the first certificate or raw key must be the one that
 * AUTH is made with (RFC 7296 section 3.6). Other encodings are passed over. Undefined when there is no usable one.
 */
export function presentedCredential(
  crypto: CryptoProvider,
  payloads: readonly CertPayload[],
): PresentedCredential | undefined {
  const usable = payloads.filter(({ encoding }) => isUsable(encoding));
  const [first] = usable;
  if (first === undefined || usable.length > maximumCertificates) return undefined;
  if (first.encoding === CertificateEncoding.RAW_PUBLIC_KEY) return { publicKey: first.data, chain: [] }; // RFC 7670
  const publicKey = crypto.publicKeyOfCertificate(first.data);
  if (publicKey === undefined) return undefined;
  const certificates = usable.filter(({ encoding }) => encoding === CertificateEncoding.X509_SIGNATURE);
  return { publicKey, chain: certificates.map(({ data }) => data) };
}

/** Our CERT payloads: the chain, or the raw public key when there are no certificates (RFC 7670 section 3). */
export function certPayloads(publicKey: Uint8Array, certificates: readonly Uint8Array[]): readonly CertPayload[] {
  if (certificates.length === 0) {
    return [{ kind: "CERT", encoding: CertificateEncoding.RAW_PUBLIC_KEY, data: publicKey }];
  }
  return certificates.map((data) => ({ kind: "CERT", encoding: CertificateEncoding.X509_SIGNATURE, data }));
}

/** SHA-256 over a SubjectPublicKeyInfo: what `pinned` peers are configured with. */
export function publicKeyFingerprint(crypto: CryptoProvider, publicKey: Uint8Array): Uint8Array {
  return crypto.digest("sha256", publicKey);
}

/** Names a credential in stored rows and events: `sha256:<64 hex digits>` for a key pair, `psk:<16 hex digits>`. */
export function credentialFingerprint(
  crypto: CryptoProvider,
  credential:
    | { readonly kind: "publicKey"; readonly publicKey: Uint8Array }
    | { readonly kind: "psk"; readonly secret: Secret },
): string {
  if (credential.kind === "publicKey") return `sha256:${hex(publicKeyFingerprint(crypto, credential.publicKey))}`;
  // with 128 bits or more in the key, 64 bits of a one-way function of it help nobody to find it
  const mac = credential.secret.expose((key) => crypto.hmac("sha256", key, utf8Encode("karp psk fingerprint")));
  return `psk:${hex(mac.subarray(0, 8))}`;
}

function isUsable(encoding: number): boolean {
  return encoding === CertificateEncoding.RAW_PUBLIC_KEY || encoding === CertificateEncoding.X509_SIGNATURE;
}
