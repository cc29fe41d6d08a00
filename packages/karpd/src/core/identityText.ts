import type { Identity } from "@karp/ikev2";
import { formatAddress } from "@karp/tcp-ao";
import { toHex } from "./hex.ts";

/**
 * An identity (RFC 7296 section 3.5) as rows and views write it: a domain name or mailbox as it is, an address in its
 * text form, anything else in hex with its type. Different identities have different texts.
 */
export function identityText({ idType, data }: Identity): string {
  if ((idType === 2 || idType === 3) && data.length > 0 && data.every((octet) => octet > 0x20 && octet < 0x7f)) {
    const text = String.fromCharCode(...data);
    return idType === 2 ? text.toLowerCase() : text;
  }
  if ((idType === 1 && data.length === 4) || (idType === 5 && data.length === 16)) return formatAddress(data);
  return `id-type-${idType}:0x${toHex(data)}`;
}
