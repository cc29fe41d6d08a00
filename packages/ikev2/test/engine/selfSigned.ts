import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { loadSigningKey } from "../../node/signingKey.ts";
import type { SigningKey } from "../../src/index.ts";

/** An X.509 certificate (RFC 5280 section 4.1) for a fresh Ed25519 key, signed by `issuer` or by itself. */
export function certificate(
  name: string,
  issuer?: { readonly privateKey: KeyObject; readonly name: string },
): { readonly der: Uint8Array; readonly key: SigningKey; readonly privateKey: KeyObject; readonly name: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const ed25519 = sequence(Buffer.from("06032b6570", "hex"));
  const tbs = sequence(
    tagged(0xa0, tagged(0x02, Buffer.of(2))), // version 3
    tagged(0x02, Buffer.of(1)),
    ed25519,
    commonName(issuer?.name ?? name),
    sequence(utcTime("260101000000Z"), utcTime("360101000000Z")),
    commonName(name),
    publicKey.export({ format: "der", type: "spki" }),
  );
  const signature = sign(null, tbs, issuer?.privateKey ?? privateKey);
  const der = sequence(tbs, ed25519, tagged(0x03, Buffer.concat([Buffer.of(0), signature])));
  const key = loadSigningKey(privateKey.export({ format: "pem", type: "pkcs8" }).toString());
  return { der: Uint8Array.from(der), key, privateKey, name };
}

function commonName(name: string): Buffer {
  const attribute = sequence(Buffer.from("0603550403", "hex"), tagged(0x0c, Buffer.from(name)));
  return sequence(tagged(0x31, attribute));
}

function utcTime(text: string): Buffer {
  return tagged(0x17, Buffer.from(text, "latin1"));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const long = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  const header = [tag, ...(length < 128 ? [length] : long)];
  return Buffer.concat([Buffer.from(header), content]);
}
