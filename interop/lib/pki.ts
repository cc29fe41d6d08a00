// Certificates for both ends, and the words and inputs with which each end gets them.
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import type { CertificateVerdict, Identity, LocalAuthentication, SigningKey } from "@karp/ikev2";
import { loadSigningKey } from "@karp/ikev2/node";
import { makeCertificate } from "../../packages/karpd/src/runtime/certificates/makeCertificate.ts";
import { validateChain } from "../../packages/karpd/src/runtime/certificates/validateChain.ts";
import { identityOf } from "./karpEnd.ts";

export type KeyKind = "Ed25519" | "ECDSA P-256" | "ECDSA P-384" | "ECDSA P-521" | "RSA 2048";

export interface Holder {
  readonly key: SigningKey;
  /** PKCS#8. */
  readonly privateKeyPem: string;
  /** SubjectPublicKeyInfo, PEM. */
  readonly publicKeyPem: string;
  readonly certificate: Uint8Array;
}

const DAY = 86_400_000;

function makeKey(kind: KeyKind): KeyObject {
  switch (kind) {
    case "Ed25519":
      return generateKeyPairSync("ed25519").privateKey;
    case "ECDSA P-256":
    case "ECDSA P-384":
    case "ECDSA P-521":
      return generateKeyPairSync("ec", { namedCurve: kind.slice("ECDSA ".length) }).privateKey;
    case "RSA 2048":
      return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  }
}

/** A root, and everything below it. */
export class Authority {
  readonly holder: Holder;

  constructor(kind: KeyKind, commonName = `Interop ${kind}`, parent?: Authority) {
    this.holder = issue(kind, commonName, [], parent?.holder, true);
  }

  /** A certificate for this identity. */
  issue(kind: KeyKind, identity: string): Holder {
    return issue(kind, identity, [identityOf(identity)], this.holder, false);
  }

  /** Judges with this authority as the only anchor. */
  readonly judge = async (chain: readonly Uint8Array[], remoteIdentity: Identity): Promise<CertificateVerdict> =>
    await validateChain({ chain, remoteIdentity, trustAnchors: [this.holder.certificate], at: new Date() });
}

/** A root, an authority below it, and a judge who knows only the root. */
export function makeChain(kind: KeyKind): { readonly root: Authority; readonly intermediate: Authority } {
  const root = new Authority(kind, `Interop root ${kind}`);
  return { root, intermediate: new Authority(kind, `Interop intermediate ${kind}`, root) };
}

export function signing(holder: Holder, ...others: readonly Authority[]): LocalAuthentication {
  const certificates = [holder.certificate, ...others.map((authority) => authority.holder.certificate)];
  return { kind: "signature", key: holder.key, certificates };
}

function issue(
  kind: KeyKind,
  commonName: string,
  identities: readonly Identity[],
  issuer: Holder | undefined,
  isAuthority: boolean,
): Holder {
  const privateKey = makeKey(kind);
  const privateKeyPem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const key = loadSigningKey(privateKeyPem);
  const certificate = makeCertificate({
    publicKey: key.publicKey,
    commonName,
    identities,
    notBefore: new Date(Date.now() - DAY),
    notAfter: new Date(Date.now() + DAY),
    issuer: issuer ?? { key },
    isAuthority,
  });
  return { key, privateKeyPem, publicKeyPem: spkiPem(key.publicKey), certificate };
}

function spkiPem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return ["-----BEGIN PUBLIC KEY-----", ...lines, "-----END PUBLIC KEY-----", ""].join("\n");
}
