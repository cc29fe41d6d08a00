import type { Figure, Row } from "./figure.ts";
import type { Machine } from "./machine.ts";

export function textTable(rows: readonly Row[]): string {
  const cells = [header, ...rows.map(cellsOf)];
  const widths = header.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  return cells
    .map((line) =>
      line
        .map((cell, column) => padded(cell, widths[column] ?? 0, column))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export function markdownTable(rows: readonly Row[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const notes = rows.map((row) => ("note" in row && row.note !== undefined ? row.note : ""));
  const body = rows.map((row, index) => line([...cellsOf(row), notes[index] ?? ""]));
  return [line([...header, "note"]), "|---|---:|---:|---:|---:|---|---|", ...body].join("\n");
}

export function machineText({ cpu, cores, node, kernel, date, load, commit }: Machine): string {
  return `${date}, commit ${commit}; ${cpu}, ${cores} cores, ${kernel}, Node ${node}; load average at the start ${load.toFixed(1)}`;
}

const header = ["what", "median", "spread", "× bare", "budget", ""] as const;

function cellsOf(row: Row): readonly string[] {
  if ("skipped" in row) return [row.what, "skipped", row.skipped, "", "", ""];
  if ("failed" in row) return [row.what, "FAILED", row.failed, "", "", ""];
  const { what, unit, median, minimum, maximum, budget, ratio } = row;
  const spread = minimum === maximum ? "" : `${amount(minimum)} to ${amount(maximum)}`;
  return [
    what,
    `${amount(median)} ${unit}`,
    spread,
    ratio === undefined ? "" : ratio.toFixed(1),
    budget === undefined ? "" : `${amount(budget)} ${unit}`,
    verdict(row),
  ];
}

function verdict({ median, budget }: Figure): string {
  if (budget === undefined) return "";
  return median <= budget ? "met" : `missed by ${(median / budget).toFixed(1)} times`;
}

function amount(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en");
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}

/** The first column and the last from the left, figures from the right. */
function padded(cell: string, width: number, column: number): string {
  return column === 0 || column === header.length - 1 ? cell.padEnd(width) : cell.padStart(width);
}
