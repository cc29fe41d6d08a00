/** Two forms of an ECDSA signature: r | s (RFC 4754 section 7) and Ecdsa-Sig-Value in DER (RFC 5480 appendix A). */
import { concat } from "../bytes/bytes.ts";

/** Ecdsa-Sig-Value of r | s, which are of equal length. */
export function derFromRaw(raw: Uint8Array): Uint8Array {
  const half = raw.length / 2;
  const content = concat(integer(raw.subarray(0, half)), integer(raw.subarray(half)));
  const length = content.length < 128 ? Uint8Array.of(content.length) : Uint8Array.of(0x81, content.length);
  return concat(Uint8Array.of(0x30), length, content);
}

/** r | s, each filled up to `orderLength` octets, or undefined when `der` is not an Ecdsa-Sig-Value that fits. */
export function rawFromDer(der: Uint8Array, orderLength: number): Uint8Array | undefined {
  const offset = der[1] === 0x81 ? 3 : 2;
  if (der[0] !== 0x30 || der[offset - 1] !== der.length - offset) return undefined;
  const r = readInteger(der, offset);
  const s = r === undefined ? undefined : readInteger(der, r.end);
  if (r === undefined || s === undefined || s.end !== der.length) return undefined;
  if (r.value.length > orderLength || s.value.length > orderLength) return undefined;
  const raw = new Uint8Array(2 * orderLength);
  raw.set(r.value, orderLength - r.value.length);
  raw.set(s.value, 2 * orderLength - s.value.length);
  return raw;
}

function integer(unsigned: Uint8Array): Uint8Array {
  const value = withoutLeadingZeros(unsigned);
  const first = value[0] ?? 0;
  const sign = value.length === 0 || first >= 0x80 ? Uint8Array.of(0) : new Uint8Array(0);
  return concat(Uint8Array.of(0x02, sign.length + value.length), sign, value);
}

function readInteger(
  der: Uint8Array,
  offset: number,
): { readonly value: Uint8Array; readonly end: number } | undefined {
  const length = der[offset + 1];
  if (der[offset] !== 0x02 || length === undefined || length === 0 || length > 127) return undefined;
  const end = offset + 2 + length;
  return end > der.length ? undefined : { value: withoutLeadingZeros(der.subarray(offset + 2, end)), end };
}

function withoutLeadingZeros(octets: Uint8Array): Uint8Array {
  const first = octets.findIndex((octet) => octet !== 0);
  return first === -1 ? new Uint8Array(0) : octets.subarray(first);
}
