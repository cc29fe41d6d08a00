import { generateKeyPairSync, randomBytes } from "node:crypto";
import { type IkeEffect, type IkeInput, Secret, type SigningKey } from "@karp/ikev2";
import { loadSigningKey, NodeCryptoProvider } from "@karp/ikev2/node";
import { makeCertificate } from "../packages/karpd/src/runtime/certificates/makeCertificate.ts";
import { validateChain } from "../packages/karpd/src/runtime/certificates/validateChain.ts";
import { type Authentications, identityOf, identityText, type Side, type TwoEndsOptions } from "./twoEnds.ts";

/** A key of 256 random bits for each association. */
export function presharedKeys(): Authentications {
  const secrets: Uint8Array[] = [];
  return (_side, index) => {
    secrets[index] ??= new Uint8Array(randomBytes(32));
    const secret = (): Secret => new Secret(new Uint8Array(secrets[index] ?? []));
    return {
      localAuthentication: { kind: "psk", secret: secret() },
      remoteAuthentication: { kind: "psk", secret: secret() },
    };
  };
}

/** Ed25519 raw public keys (RFC 7670), each pinned by its fingerprint at the other end. */
export function pinnedKeys(): Authentications {
  const crypto = new NodeCryptoProvider();
  const credentials = remembered((side, index) => {
    const key = newKey("ed25519");
    return { key, fingerprint: crypto.digest("sha256", key.publicKey), name: identityText(side, index) };
  });
  return (side, index) => ({
    localAuthentication: { kind: "signature", key: credentials(side, index).key, certificates: [] },
    remoteAuthentication: { kind: "pinned", fingerprints: [credentials(otherSide(side), index).fingerprint] },
  });
}

/**
 * Certificates of one authority of the same algorithm, and the judge that validates them as the daemon does. RSA keys
 * take long to make: a handful of them serve all routers, each with a certificate of its own.
 */
export function certificates(type: "ed25519" | "rsa"): Required<Pick<TwoEndsOptions, "authentications" | "judge">> {
  const authorityKey = newKey(type);
  const validity = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 86_400_000) };
  const authority = makeCertificate({
    publicKey: authorityKey.publicKey,
    commonName: "authority of the benchmark",
    ...validity,
    issuer: { key: authorityKey },
    isAuthority: true,
  });
  const keys: SigningKey[] = [];
  const keyFor = (index: number): SigningKey => {
    if (type === "ed25519") return newKey(type);
    keys[index % 5] ??= newKey(type);
    return keys[index % 5] ?? newKey(type);
  };
  const credentials = remembered((side, index) => {
    const key = keyFor(index);
    const certificate = makeCertificate({
      publicKey: key.publicKey,
      commonName: identityText(side, index),
      identities: [identityOf(side, index)],
      ...validity,
      issuer: { key: authorityKey, certificate: authority },
    });
    return { key, certificate };
  });
  return {
    authentications: (side, index) => {
      const { key, certificate } = credentials(side, index);
      return {
        localAuthentication: { kind: "signature", key, certificates: [certificate] },
        remoteAuthentication: { kind: "certificate" },
      };
    },
    judge: (question) => judge(question, [authority]),
  };
}

async function judge(
  { chain, remoteIdentity, requestId }: Extract<IkeEffect, { kind: "validateCertificate" }>,
  trustAnchors: readonly Uint8Array[],
): Promise<IkeInput> {
  const verdict = await validateChain({ chain, trustAnchors, remoteIdentity, at: new Date() });
  return { kind: "certificateValidated", requestId, verdict };
}

/** Side a is one router with one credential, side b as many as there are associations. */
function remembered<T>(make: (side: Side, index: number) => T): (side: Side, index: number) => T {
  const made = new Map<string, T>();
  return (side, index) => {
    const name = identityText(side, index);
    const known = made.get(name) ?? make(side, index);
    made.set(name, known);
    return known;
  };
}

function newKey(type: "ed25519" | "rsa"): SigningKey {
  const { privateKey } =
    type === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("rsa", { modulusLength: 2048 });
  return loadSigningKey(privateKey.export({ format: "pem", type: "pkcs8" }).toString());
}

function otherSide(side: Side): Side {
  return side === "a" ? "b" : "a";
}
