/** UTF-8 (RFC 3629). A lone surrogate becomes U+FFFD. */
export function utf8Encode(text: string): Uint8Array {
  const octets: number[] = [];
  for (const character of text.toWellFormed()) {
    pushEncoded(octets, character.codePointAt(0) ?? 0);
  }
  return Uint8Array.from(octets);
}

/** The text, or undefined when the octets are not UTF-8: no overlong forms, surrogates or values above U+10FFFF. */
export function utf8Decode(octets: Uint8Array): string | undefined {
  let text = "";
  let offset = 0;
  while (offset < octets.length) {
    const point = decodePoint(octets, offset);
    if (point === undefined) {
      return undefined;
    }
    text += String.fromCodePoint(point.value);
    offset += point.length;
  }
  return text;
}

/** The code point that begins at `offset`, or undefined when none does (RFC 3629 section 4). */
export function decodePoint(
  octets: Uint8Array,
  offset: number,
): { readonly value: number; readonly length: number } | undefined {
  const first = octets[offset] ?? 0xff;
  if (first < 0x80) {
    return { value: first, length: 1 };
  }
  const length = sequenceLength(first);
  if (length === 0 || offset + length > octets.length) {
    return undefined;
  }
  let value = first & (0x7f >> length);
  for (let i = 1; i < length; i++) {
    const octet = octets[offset + i] ?? 0;
    if ((octet & 0xc0) !== 0x80) {
      return undefined;
    }
    value = (value << 6) | (octet & 0x3f);
  }
  return isScalar(value) && encodedLength(value) === length ? { value, length } : undefined;
}

function pushEncoded(octets: number[], value: number): void {
  const length = encodedLength(value);
  if (length === 1) {
    octets.push(value);
    return;
  }
  const lead = (0xf00 >> length) & 0xff;
  octets.push(lead | (value >> (6 * (length - 1))));
  for (let shift = 6 * (length - 2); shift >= 0; shift -= 6) {
    octets.push(0x80 | ((value >> shift) & 0x3f));
  }
}

function sequenceLength(first: number): 0 | 2 | 3 | 4 {
  if (first >= 0xc2 && first <= 0xdf) {
    return 2;
  }
  if (first >= 0xe0 && first <= 0xef) {
    return 3;
  }
  return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

function encodedLength(value: number): 1 | 2 | 3 | 4 {
  if (value < 0x80) {
    return 1;
  }
  if (value < 0x800) {
    return 2;
  }
  return value < 0x10000 ? 3 : 4;
}

function isScalar(value: number): boolean {
  return value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
}
