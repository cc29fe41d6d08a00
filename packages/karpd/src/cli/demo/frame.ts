import { table } from "../text.ts";
import type { RouterState } from "./runningRouter.ts";

/** What fits on a terminal. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

const GAP = 3;
/** Keys shown of one router; the older ones are removed anyway. */
const MOST_KEYS = 5;

/** One picture of the demo: both key tables, side by side where they fit, and below as much of the timeline as does. */
export function frame(states: readonly RouterState[], timeline: readonly string[], size: Size): readonly string[] {
  const sides = states.map((state) => keyTable(state).split("\n"));
  const widths = sides.map((side) => Math.max(0, ...side.map((line) => line.length)));
  const isWide = widths.reduce((sum, width) => sum + width + GAP, -GAP) <= size.columns;
  const tables = isWide ? besideEachOther(sides, widths) : sides.flatMap((side) => [...side, ""]);
  // The last row stays free for the cursor, and one line keeps the tables and the timeline apart.
  const left = Math.max(0, size.rows - tables.length - 2);
  const newest = left === 0 ? [] : timeline.slice(-left);
  return [...tables, ...(isWide ? [""] : []), ...newest]
    .slice(0, size.rows - 1)
    .map((line) => line.slice(0, size.columns - 1));
}

function besideEachOther(sides: readonly (readonly string[])[], widths: readonly number[]): string[] {
  const rows = Math.max(0, ...sides.map((side) => side.length));
  return Array.from({ length: rows }, (_, row) =>
    sides
      .map((side, index) => (side[row] ?? "").padEnd((widths[index] ?? 0) + GAP))
      .join("")
      .trimEnd(),
  );
}

function keyTable({ name, keys, rollover, rollovers, statistics }: RouterState): string {
  const { segmentsVerified = 0, segmentsRejected = 0, kernelKeepalives } = statistics;
  const rows = keys
    .slice(-MOST_KEYS)
    .map((key) => [key.state, String(key.sendId), String(key.recvId), key.fingerprint]);
  return [
    `${name}: ${rollover?.step ?? "starting"}, ${rollovers} rollovers`,
    `${segmentsVerified} segments verified, ${segmentsRejected} rejected`,
    ...(kernelKeepalives === undefined ? [] : [`${kernelKeepalives} KEEPALIVEs over the kernel's TCP`]),
    table(["STATE", "SEND", "RECV", "FINGERPRINT"], rows),
  ].join("\n");
}
