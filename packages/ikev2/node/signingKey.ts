import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { UsageError } from "../src/bytes/errors.ts";
import type { SigningKey } from "../src/crypto/provider.ts";
import { plain } from "./plain.ts";
import { hashNameOf, keyInput, signatureAlgorithmsOf } from "./publicKeys.ts";

/**
 * A private key from PEM (PKCS#8, or the older EC and RSA forms) or from PKCS#8 in DER: Ed25519, ECDSA on P-256, P-384 or
 * P-521, RSA of 2048 bits and more. Throws UsageError (`badPrivateKey`, `encryptedPrivateKey`, `unsupportedPrivateKey`);
 * nothing of the key is in it.
 */
export function loadSigningKey(encoded: string | Uint8Array): SigningKey {
  const key = parsePrivateKey(encoded);
  const algorithms = signatureAlgorithmsOf(key);
  if (algorithms.length === 0) {
    throw new UsageError("unsupportedPrivateKey", `${describe(key)} is not supported: use Ed25519, ECDSA or RSA-2048`);
  }
  return {
    publicKey: plain(createPublicKey(key).export({ format: "der", type: "spki" })),
    algorithms,
    sign: (algorithm, data) => plain(sign(hashNameOf(algorithm), data, keyInput(key, algorithm))),
  };
}

function parsePrivateKey(encoded: string | Uint8Array): KeyObject {
  const text = typeof encoded === "string" ? encoded : pemText(encoded);
  if (text !== undefined && /ENCRYPTED/.test(text)) {
    throw new UsageError(
      "encryptedPrivateKey",
      "the private key is encrypted: store it without a passphrase, mode 0600",
    );
  }
  try {
    return text !== undefined
      ? createPrivateKey({ key: text, format: "pem" })
      : createPrivateKey({ key: Buffer.from(encoded), format: "der", type: "pkcs8" });
  } catch {
    throw new UsageError("badPrivateKey", "not a private key in PEM, nor PKCS#8 in DER");
  }
}

/** PEM begins with dashes or with text before them, PKCS#8 in DER with a SEQUENCE. */
function pemText(encoded: Uint8Array): string | undefined {
  return encoded[0] === 0x30 ? undefined : Buffer.from(encoded).toString("latin1");
}

function describe(key: KeyObject): string {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  return ["a private key of type", key.asymmetricKeyType, namedCurve ?? modulusLength].filter(Boolean).join(" ");
}
