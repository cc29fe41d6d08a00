import { UsageError } from "./errors.ts";

const octetsAsHex = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"));

/** Lower case, two digits per octet. */
export function hex(octets: Uint8Array): string {
  let text = "";
  for (const octet of octets) {
    text += octetsAsHex[octet];
  }
  return text;
}

/** Either case, nothing between the digits; throws UsageError "badHex" without repeating the text (it may be a key). */
export function unhex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new UsageError("badHex", "not an even number of hexadecimal digits");
  }
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}
