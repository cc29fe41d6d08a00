import type { SessionConfiguration } from "../../core/configuration.ts";
import type { MktAlgorithm } from "../../core/keytable/row.ts";
import type { DriverKey } from "../../ports/routingDriver.ts";
import { fingerprintOf } from "../keys.ts";

/** Format of the file, first two members. A reader must refuse a version that it does not know. */
const FORMAT = "karp-keychain";
const VERSION = 1;

/** Identities of `crypto-algorithm` in RFC 8177 where there is one, and the length of the MAC. */
const ALGORITHMS: Readonly<Record<MktAlgorithm, { readonly name: string; readonly macBits: number }>> = {
  "aes-128-cmac-96": { name: "aes-cmac-prf-128", macBits: 96 },
  "hmac-sha-1-96": { name: "hmac-sha-1-12", macBits: 96 },
  "hmac-sha-256-128": { name: "hmac-sha-256", macBits: 128 },
};

/** The file's text: the same for the same keys, in whatever order they come. */
export function keychainDocument(session: SessionConfiguration, keys: readonly DriverKey[]): string {
  const sorted = [...keys].sort((a, b) => (a.adminKeyName < b.adminKeyName ? -1 : 1));
  const document = {
    format: FORMAT,
    version: VERSION,
    session: session.name,
    protocol: session.protocol,
    "local-address": session.localAddress,
    "remote-address": session.remoteAddress,
    port: session.port,
    ...(session.vrf !== undefined && { vrf: session.vrf }),
    key: sorted.map(keyEntry),
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function keyEntry(key: DriverKey) {
  const { name, macBits } = ALGORITHMS[key.algorithm];
  const octets = key.masterKey.expose((masterKey) => Buffer.from(masterKey).toString("hex"));
  return {
    "admin-key-name": key.adminKeyName,
    fingerprint: fingerprintOf(key),
    "send-id": key.sendId,
    "recv-id": key.recvId,
    "crypto-algorithm": name,
    "mac-bits": macBits,
    "covers-tcp-options": key.coversTcpOptions,
    use: key.use,
    "key-string": { "hexadecimal-string": octets.replace(/..(?=.)/g, "$&:") },
  };
}

/** Whose keys a file has, whatever its version; undefined: it is none of ours, and is not replaced. */
export function sessionOfDocument(text: string): string | undefined {
  try {
    const document: unknown = JSON.parse(text);
    if (typeof document !== "object" || document === null) return undefined;
    if (Reflect.get(document, "format") !== FORMAT) return undefined;
    return String(Reflect.get(document, "session"));
  } catch {
    return undefined;
  }
}
