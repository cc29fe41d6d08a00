import { webcrypto, X509Certificate } from "node:crypto";
import { fromBER } from "asn1js";
import { Certificate, ContentInfo, CryptoEngine, EnvelopedData } from "pkijs";

/**
 * The text as CMS EnvelopedData in PEM (RFC 5652, AES-256-CBC; RSA-OAEP or ECDH by the certificate's key), for
 * `openssl cms -decrypt -inform PEM -inkey KEY`.
 * @throws Error with a sentence when nothing can be encrypted to this certificate
 */
export async function encryptTo(text: string, certificatePem: string): Promise<string> {
  const crypto = new CryptoEngine({ name: "node", crypto: webcrypto as never });
  const certificate = readCertificate(certificatePem);
  const enveloped = new EnvelopedData();
  enveloped.addRecipientByCertificate(certificate, { oaepHashAlgorithm: "SHA-256" }, undefined, crypto);
  const data = new TextEncoder().encode(text);
  await enveloped.encrypt({ name: "AES-CBC", length: 256 } as never, data.buffer as ArrayBuffer, crypto);
  const info = new ContentInfo({ contentType: "1.2.840.113549.1.7.3", content: enveloped.toSchema() });
  const der = Buffer.from(info.toSchema().toBER(false));
  const lines = der.toString("base64").replaceAll(/.{64}/g, "$&\n").trimEnd();
  return `-----BEGIN CMS-----\n${lines}\n-----END CMS-----\n`;
}

function readCertificate(pem: string): Certificate {
  let raw: Uint8Array<ArrayBuffer>;
  try {
    raw = Uint8Array.from(new X509Certificate(pem).raw);
  } catch {
    throw new Error("this is no X.509 certificate in PEM");
  }
  return new Certificate({ schema: fromBER(raw.buffer).result });
}
