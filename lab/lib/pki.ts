// Certificates for the lab's routers: one authority, Ed25519, made with openssl in the guest.
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { must } from "./exec.ts";

export interface RouterCredentials {
  readonly certificate: string;
  readonly privateKey: string;
  /** Certificate of the authority. */
  readonly trust: string;
}

/** Makes an authority in `folder` and one certificate (subjectAltName dNSName) for each name. */
export async function makeCertificates<const Name extends string>(
  folder: string,
  names: readonly Name[],
): Promise<Readonly<Record<Name, RouterCredentials>>> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = (name: string): string => join(folder, name);
  const authority = ["-CA", file("ca.pem"), "-CAkey", file("ca.key")];
  await certificate(file("ca"), "lab authority", [
    "basicConstraints=critical,CA:TRUE",
    "keyUsage=critical,keyCertSign,cRLSign",
  ]);
  const made: [Name, RouterCredentials][] = [];
  for (const name of names) {
    const extensions = [
      "basicConstraints=critical,CA:FALSE",
      "keyUsage=critical,digitalSignature",
      `subjectAltName=DNS:${name}`,
    ];
    await certificate(file(name), name, extensions, authority);
    made.push([name, { certificate: file(`${name}.pem`), privateKey: file(`${name}.key`), trust: file("ca.pem") }]);
  }
  return Object.fromEntries(made) as Record<Name, RouterCredentials>;
}

async function certificate(
  path: string,
  commonName: string,
  extensions: readonly string[],
  issuer: readonly string[] = [],
): Promise<void> {
  const added = extensions.flatMap((extension) => ["-addext", extension]);
  const files = ["-keyout", `${path}.key`, "-out", `${path}.pem`];
  const subject = ["-subj", `/CN=${commonName}`, "-days", "2", "-not_before", yesterday()];
  await must(["openssl", "req", "-x509", "-newkey", "ed25519", "-noenc", ...subject, ...files, ...added, ...issuer]);
  chmodSync(`${path}.key`, 0o600);
}

/** Clocks of guests may be behind the one that made the certificate. */
function yesterday(): string {
  const text = new Date(Date.now() - 86_400_000).toISOString();
  return `${text.slice(0, 10).replaceAll("-", "")}000000Z`;
}
