import { parseIdentity } from "@karp/ikev2";
import { certificatePem, makeCertificate, makeKeyPair } from "../../runtime/certificates/makeCertificate.ts";

/** PEM texts. */
export interface DemoCertificates {
  readonly authority: string;
  readonly routers: readonly { readonly certificate: string; readonly privateKey: string }[];
}

const HOUR_MILLISECONDS = 3_600_000;

/** An authority that lives for this demo only, and one Ed25519 certificate for each name. */
export function makeDemoCertificates(names: readonly string[], nowMilliseconds: number): DemoCertificates {
  const notBefore = new Date(nowMilliseconds - HOUR_MILLISECONDS);
  const notAfter = new Date(nowMilliseconds + 24 * HOUR_MILLISECONDS);
  const authorityKey = makeKeyPair();
  const authority = makeCertificate({
    publicKey: authorityKey.key.publicKey,
    commonName: "karp demo authority",
    notBefore,
    notAfter,
    issuer: { key: authorityKey.key },
    isAuthority: true,
  });
  return {
    authority: certificatePem(authority),
    routers: names.map((name) => {
      const { key, privateKeyPem } = makeKeyPair();
      const identity = parseIdentity(name);
      if (identity === undefined) throw new Error(`${name} is no identity`);
      const certificate = makeCertificate({
        publicKey: key.publicKey,
        commonName: name,
        identities: [identity],
        notBefore,
        notAfter,
        issuer: { key: authorityKey.key, certificate: authority },
      });
      return { certificate: certificatePem(certificate), privateKey: privateKeyPem };
    }),
  };
}
