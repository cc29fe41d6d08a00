import type { Identity } from "@karp/ikev2";
import { IdType, utf8Encode } from "@karp/ikev2";
import { OctetString } from "asn1js";
import { type GeneralName, RelativeDistinguishedNames } from "pkijs";

/** Choices of GeneralName, RFC 5280 section 4.2.1.6. */
export const nameTypes = { rfc822Name: 1, dNSName: 2, directoryName: 4, iPAddress: 7 } as const;

/** The IKE identity that a name in a certificate stands for (RFC 4945 section 3.1); undefined for other names. */
export function identityOf(name: GeneralName): Identity | undefined {
  const value: unknown = name.value;
  if (name.type === nameTypes.dNSName && typeof value === "string") {
    return { idType: IdType.ID_FQDN, data: utf8Encode(value) };
  }
  if (name.type === nameTypes.rfc822Name && typeof value === "string") {
    return { idType: IdType.ID_RFC822_ADDR, data: utf8Encode(value) };
  }
  if (name.type === nameTypes.directoryName && value instanceof RelativeDistinguishedNames) {
    return { idType: IdType.ID_DER_ASN1_DN, data: new Uint8Array(value.valueBeforeDecode) };
  }
  return name.type === nameTypes.iPAddress ? addressIdentity(octetsOf(name)) : undefined;
}

/** The octets of an iPAddress, 4 or 16; twice as many in a name constraint. */
export function octetsOf(name: GeneralName): Uint8Array {
  const value: unknown = name.value;
  return value instanceof OctetString ? Uint8Array.from(value.valueBlock.valueHexView) : new Uint8Array(0);
}

function addressIdentity(octets: Uint8Array): Identity | undefined {
  if (octets.length === 4) return { idType: IdType.ID_IPV4_ADDR, data: octets };
  return octets.length === 16 ? { idType: IdType.ID_IPV6_ADDR, data: octets } : undefined;
}
