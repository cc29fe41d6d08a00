/** Which datagrams are IKE's: RFC 7296 sections 2.11 and 2.23, RFC 3948 section 2.2. */

/** On this port IKE messages follow four zero octets, the non-ESP marker. */
const NAT_TRAVERSAL_PORT = 4500;
const NON_ESP_MARKER = new Uint8Array(4);

/** What makes up the datagram of an IKE message that leaves from `localPort`. */
export function datagramParts(message: Uint8Array, localPort: number): Uint8Array[] {
  return localPort === NAT_TRAVERSAL_PORT ? [NON_ESP_MARKER, message] : [message];
}

/**
 * The IKE message in a datagram, undefined when there is none: ESP and NAT keepalives on port 4500, and whatever comes
 * from port 0. RFC 768 lets a sender that wants no answer use that port; no IKE peer does, and nothing can be sent to it.
 */
export function ikeMessageOf(datagram: Uint8Array, localPort: number, remotePort: number): Uint8Array | undefined {
  if (remotePort === 0) return undefined;
  if (localPort !== NAT_TRAVERSAL_PORT) return datagram;
  const isIke = datagram.length > 4 && datagram.subarray(0, 4).every((octet) => octet === 0);
  return isIke ? datagram.subarray(4) : undefined;
}
