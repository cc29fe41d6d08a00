/** Identities as in the ID payloads (RFC 7296 section 3.5) and as people write them. */
import { escapeText } from "../bytes/escapeText.ts";
import { hex, unhex } from "../bytes/hex.ts";
import { utf8Encode } from "../bytes/utf8.ts";
import { IdType } from "../registry/idType.ts";
import { formatAddress, parseAddress } from "./address.ts";

export interface Identity {
  readonly idType: number;
  readonly data: Uint8Array;
}

/**
 * An identity from configuration: `r1.example.net`, `10.0.0.1`, `2001:db8::1`, `bgp@example.net`, `keyid:text`,
 * `keyid:0x00ff`, `dn:0x30…` (a Name in DER). Undefined when the text is none of these. Names become lower case.
 */
export function parseIdentity(text: string): Identity | undefined {
  if (text.startsWith("keyid:")) return parseKeyId(text.slice("keyid:".length));
  if (text.startsWith("dn:0x")) return parseHex(IdType.ID_DER_ASN1_DN, text.slice("dn:0x".length));
  const address = parseAddress(text);
  if (address !== undefined) {
    return { idType: address.length === 4 ? IdType.ID_IPV4_ADDR : IdType.ID_IPV6_ADDR, data: address };
  }
  const [mailbox, domain, ...rest] = text.split("@");
  if (mailbox === undefined || rest.length > 0) return undefined;
  if (domain === undefined) {
    return isDomainName(text) ? identityOfText(IdType.ID_FQDN, text.toLowerCase()) : undefined;
  }
  if (!/^[!-~]{1,64}$/.test(mailbox) || !isDomainName(domain)) return undefined;
  return identityOfText(IdType.ID_RFC822_ADDR, `${mailbox}@${domain.toLowerCase()}`);
}

/** The text that `parseIdentity` takes, or one in its manner for other types; peer-made text is escaped. */
export function formatIdentity(identity: Identity): string {
  const { idType, data } = identity;
  switch (idType) {
    case IdType.ID_FQDN:
    case IdType.ID_RFC822_ADDR:
      return escapeText(data);
    case IdType.ID_IPV4_ADDR:
    case IdType.ID_IPV6_ADDR:
      return data.length === addressLength(idType) ? formatAddress(data) : `malformed-address:0x${hex(data)}`;
    case IdType.ID_KEY_ID:
      return isPlainText(data) ? `keyid:${escapeText(data)}` : `keyid:0x${hex(data)}`;
    case IdType.ID_DER_ASN1_DN:
      return `dn:0x${hex(data)}`;
    default:
      return `id-type-${idType}:0x${hex(data)}`;
  }
}

/**
 * True when both name the same party: the types are equal and the data too. Domain names, also the one after the @ of
 * an RFC 822 address, are compared without regard to ASCII case (RFC 5280 sections 7.2 and 7.5).
 */
export function equalIdentities(a: Identity, b: Identity): boolean {
  if (a.idType !== b.idType || a.data.length !== b.data.length) return false;
  // One of very many peers is looked for with this: nothing is copied
  const foldsFrom = Math.max(foldingStart(a), foldingStart(b));
  return a.data.every((octet, index) => {
    const other = b.data[index] ?? 0;
    return octet === other || (index >= foldsFrom && lowerCase(octet) === lowerCase(other));
  });
}

/** A string that is equal exactly for equal identities: a key for maps. */
export function identityKey(identity: Identity): string {
  return `${identity.idType}:${hex(canonicalData(identity))}`;
}

function identityOfText(idType: number, text: string): Identity {
  return { idType, data: utf8Encode(text) };
}

function parseKeyId(text: string): Identity | undefined {
  if (text.startsWith("0x")) return parseHex(IdType.ID_KEY_ID, text.slice(2));
  return text === "" ? undefined : identityOfText(IdType.ID_KEY_ID, text);
}

function parseHex(idType: number, digits: string): Identity | undefined {
  if (digits === "" || digits.length % 2 !== 0 || !/^[0-9a-fA-F]+$/.test(digits)) return undefined;
  return { idType, data: unhex(digits) };
}

/** RFC 1123 section 2.1 with underscores; a last label of digits only would be a mistyped address. */
function isDomainName(text: string): boolean {
  const labels = text.split(".");
  return (
    text.length <= 253 &&
    labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? "")
  );
}

/** Such a key id reads back from its text form: printable ASCII that does not look like the other form. */
function isPlainText(data: Uint8Array): boolean {
  const looksLikeHex = data[0] === 0x30 && data[1] === 0x78;
  return data.length > 0 && !looksLikeHex && data.every((octet) => octet > 0x20 && octet < 0x7f && octet !== 0x5c);
}

function addressLength(idType: number): number {
  return idType === IdType.ID_IPV4_ADDR ? 4 : 16;
}

function canonicalData(identity: Identity): Uint8Array {
  const start = foldingStart(identity);
  return identity.data.map((octet, index) => (index >= start ? lowerCase(octet) : octet));
}

/** Where the part begins whose case does not count; without an @, an RFC 822 address is all domain. */
function foldingStart({ idType, data }: Identity): number {
  if (idType === IdType.ID_FQDN) return 0;
  return idType === IdType.ID_RFC822_ADDR ? data.lastIndexOf(0x40) : data.length;
}

function lowerCase(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet;
}
