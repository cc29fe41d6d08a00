import { isIP, SocketAddress } from "node:net";

/** Whether two addresses in text are one. A zone ("fe80::1%eth0") counts only where both have one. */
export function isSameAddress(a: string, b: string): boolean {
  const [one = "", zoneOfOne] = a.split("%");
  const [other = "", zoneOfOther] = b.split("%");
  if (zoneOfOne !== undefined && zoneOfOther !== undefined && zoneOfOne !== zoneOfOther) return false;
  return canonical(one) === canonical(other);
}

function canonical(address: string): string {
  const version = isIP(address);
  if (version === 0) return address;
  return new SocketAddress({ address, family: version === 6 ? "ipv6" : "ipv4" }).address;
}
