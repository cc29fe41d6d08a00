import { decodePoint, utf8Encode } from "./utf8.ts";

/**
 * Text that came from a peer, safe to print on a terminal or in a log: a backslash is doubled; control, format and
 * bidirectional characters, line separators and code points without a character become \u{…}; octets that are not UTF-8
 * become \xNN. At most `maximumLength` UTF-16 units; what is cut off is shown as "…".
 */
export function escapeText(text: string | Uint8Array, maximumLength = 256): string {
  const octets = typeof text === "string" ? utf8Encode(text.slice(0, maximumLength + 1)) : text;
  let shown = "";
  /** How much of `shown` still leaves room for the ellipsis. */
  let cut = 0;
  let offset = 0;
  while (offset < octets.length) {
    const point = decodePoint(octets, offset);
    const piece = point === undefined ? octetEscape(octets[offset] ?? 0) : pointEscape(point.value);
    if (shown.length + piece.length > maximumLength) {
      return `${shown.slice(0, cut)}…`.slice(0, maximumLength);
    }
    shown += piece;
    cut = shown.length < maximumLength ? shown.length : cut;
    offset += point?.length ?? 1;
  }
  return shown;
}

function octetEscape(octet: number): string {
  return `\\x${octet.toString(16).padStart(2, "0")}`;
}

/** Cc, Cf (bidirectional controls, joiners, tags), Co, Cn, Zl, Zp; and spaces that look like none. */
const unsafe = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}|\p{Default_Ignorable_Code_Point}/u;

function pointEscape(value: number): string {
  const character = String.fromCodePoint(value);
  if (character === "\\") {
    return "\\\\";
  }
  return unsafe.test(character) ? `\\u{${value.toString(16)}}` : character;
}
