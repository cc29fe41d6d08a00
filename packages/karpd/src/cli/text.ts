/** How the command line writes things for people. */

/** Columns as wide as their widest cell, two spaces apart; the last one is not padded. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(header), ...rows.map(line)].join("\n");
}

/** "2026-11-21 04:30:00Z (3 min ago)"; "-" for nothing. */
export function moment(rfc3339: string | undefined, nowMilliseconds: number): string {
  if (rfc3339 === undefined) return "-";
  const at = Date.parse(rfc3339);
  if (Number.isNaN(at)) return rfc3339;
  const seconds = Math.round((nowMilliseconds - at) / 1000);
  return `${instant(rfc3339)} (${seconds >= 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`})`;
}

/** "2026-11-21 04:30:00Z": a rollover may take days, so the date is always there. */
export function instant(rfc3339: string): string {
  return `${rfc3339.slice(0, 19).replace("T", " ")}Z`;
}

/** The largest unit that says it well: "45 s", "12 min", "5 h", "30 d". */
function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

const DURATION = /^(\d+(?:\.\d+)?)(s|m|min|h|d|w)?$/;
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, min: 60, h: 3600, d: 86_400, w: 604_800 };

/** Seconds of "90", "90s", "12h", "30d"; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * (SECONDS[match[2] ?? "s"] ?? 1));
}

/** A failure of a command that is not a bug: printed as one sentence, exit status 1. */
export class CommandFailure extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = "CommandFailure";
    this.exitCode = exitCode;
  }
}
