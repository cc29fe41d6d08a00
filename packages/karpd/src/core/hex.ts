/** Lowercase hexadecimal digits, most significant octet first (RFC 7210 section 5.2). */
export function toHex(octets: Uint8Array): string {
  let digits = "";
  for (const octet of octets) digits += octet.toString(16).padStart(2, "0");
  return digits;
}
