/** The name of a code point in its table, or "UNKNOWN(48699)". */
export function nameOf(table: Readonly<Record<string, number>>, value: number): string {
  for (const name in table) {
    if (table[name] === value) {
      return name;
    }
  }
  return `UNKNOWN(${value})`;
}
