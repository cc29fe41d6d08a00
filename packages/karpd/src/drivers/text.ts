import type { DriverKey } from "../ports/routingDriver.ts";

/** Text from another program on one line: control characters as \xNN, cut to `maximum` characters. */
export function printable(text: string, maximum = 200): string {
  const shown = text.length > maximum ? `${text.slice(0, maximum)}…` : text;
  return Array.from(shown, escapeCharacter).join("");
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029;
  return isControl ? `\\x${code.toString(16).padStart(2, "0")}` : character;
}

/** Replaces every key that a program may have echoed, in the forms in which it was given one. */
export function withoutKeys(text: string, keys: readonly DriverKey[]): string {
  return keys.reduce((clean, key) => key.masterKey.expose((octets) => withoutKey(clean, octets)), text);
}

function withoutKey(text: string, octets: Uint8Array): string {
  const hex = Buffer.from(octets).toString("hex");
  const base64 = Buffer.from(octets).toString("base64").replace(/=+$/, "");
  const colons = (hex.match(/../g) ?? []).join(":");
  const forms = [hex, colons, base64, base64.replaceAll("+", "-").replaceAll("/", "_")].filter(
    (form) => form.length > 3,
  );
  return forms.reduce((clean, form) => clean.replaceAll(new RegExp(escapeRegExp(form), "gi"), "[key]"), text);
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

/** "14:02:11", in the machine's own time zone: what an operator sees in `ls` and `birdc`. */
export function timeOfDay(milliseconds: number): string {
  const pad = (value: number): string => String(value).padStart(2, "0");
  const date = new Date(milliseconds);
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error));
}

/** The errno of a failed system call, such as "ENOENT". */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
