import type { GeneralName } from "pkijs";
import { nameTypes, octetsOf } from "./generalNames.ts";
import { alternativeNamesOf, nameConstraintsOf, type ParsedCertificate } from "./parsedCertificate.ts";

/**
 * Name constraints of an authority against the names of the end entity (RFC 5280 section 4.2.1.10): dNSName, rfc822Name and
 * iPAddress. Constraints on other kinds of names are not understood, and refuse certificates that hold such names.
 */
export function whyConstrained(authority: ParsedCertificate, endEntity: ParsedCertificate): string | undefined {
  const constraints = nameConstraintsOf(authority);
  if (constraints === undefined) return undefined;
  const permitted = (constraints.permittedSubtrees ?? []).map(({ base }) => base);
  const excluded = (constraints.excludedSubtrees ?? []).map(({ base }) => base);
  const names = alternativeNamesOf(endEntity);
  const types = new Set([...permitted, ...excluded].map(({ type }) => type));
  const foreign = [...types].find((type) => !isUnderstood(type) && hasNameOf(endEntity, names, type));
  if (foreign !== undefined)
    return `${authority.title} constrains names of a kind (${foreign}) that is not checked here`;
  return names.every((name) => isAllowed(name, permitted, excluded))
    ? undefined
    : `the names in the certificate of ${endEntity.title} are outside of what ${authority.title} may name`;
}

function isUnderstood(type: number): boolean {
  const understood: readonly number[] = [nameTypes.dNSName, nameTypes.rfc822Name, nameTypes.iPAddress];
  return understood.includes(type);
}

function hasNameOf(certificate: ParsedCertificate, names: readonly GeneralName[], type: number): boolean {
  const hasSubject = certificate.content.subject.typesAndValues.length > 0;
  return names.some((name) => name.type === type) || (type === nameTypes.directoryName && hasSubject);
}

function isAllowed(name: GeneralName, permitted: readonly GeneralName[], excluded: readonly GeneralName[]): boolean {
  const sameType = (base: GeneralName): boolean => base.type === name.type;
  const inPermitted = !permitted.some(sameType) || permitted.some((base) => sameType(base) && isWithin(name, base));
  return inPermitted && !excluded.some((base) => sameType(base) && isWithin(name, base));
}

function isWithin(name: GeneralName, base: GeneralName): boolean {
  if (name.type === nameTypes.iPAddress) return isAddressWithin(octetsOf(name), octetsOf(base));
  const text = String(name.value).toLowerCase();
  const subtree = String(base.value).toLowerCase();
  return name.type === nameTypes.dNSName ? isHostWithin(text, subtree, true) : isMailboxWithin(text, subtree);
}

/** The base is an address and a mask. */
function isAddressWithin(address: Uint8Array, base: Uint8Array): boolean {
  return (
    base.length === 2 * address.length &&
    address.every((octet, index) => ((octet ^ (base[index] ?? 0)) & (base[address.length + index] ?? 0)) === 0)
  );
}

/** A leading dot means hosts below only; without it a dNSName base means the host and all below. */
function isHostWithin(host: string, base: string, includesBelow: boolean): boolean {
  if (base === "") return true;
  if (base.startsWith(".")) return host.endsWith(base);
  return host === base || (includesBelow && host.endsWith(`.${base}`));
}

/** A mailbox, a host, or the hosts below one. */
function isMailboxWithin(mailbox: string, base: string): boolean {
  if (base.includes("@")) return mailbox === base;
  return isHostWithin(mailbox.slice(mailbox.lastIndexOf("@") + 1), base, false);
}
