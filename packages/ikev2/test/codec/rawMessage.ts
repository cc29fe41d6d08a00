import { unhex } from "../../src/bytes/hex.ts";

/** Written by hand, independent of the encoder: hexadecimal digits with spaces and line breaks. */
export function octets(text: string): Uint8Array {
  return unhex(text.replaceAll(/\s/g, ""));
}

/** A payload type number and the hexadecimal digits of its body. */
export type RawPayload = readonly [type: number, body: string];

/** IKE header of 28 octets and the payloads with generic headers: the first body begins at octet 32. */
export function rawMessage(...payloads: readonly RawPayload[]): Uint8Array {
  return octets(rawHeader(payloads[0]?.[0] ?? 0, 28 + rawChain(payloads).length / 2) + rawChain(payloads));
}

export function rawChain(payloads: readonly RawPayload[]): string {
  return payloads
    .map(([, body], index) => {
      const digits = body.replaceAll(/\s/g, "");
      return `${octet(payloads[index + 1]?.[0] ?? 0)}00${uint(4 + digits.length / 2, 4)}${digits}`;
    })
    .join("");
}

/** An INFORMATIONAL request, Message ID 7. */
export function rawHeader(nextPayload: number, length: number): string {
  return `a1a2a3a4a5a6a7a8 b1b2b3b4b5b6b7b8 ${octet(nextPayload)} 20 25 08 00000007 ${uint(length, 8)}`;
}

export function octet(value: number): string {
  return uint(value, 2);
}

export function uint(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
