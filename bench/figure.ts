/** What a benchmark gives: figures with their spread. */

export type Unit = "ms" | "µs" | "KiB" | "1/s";

export interface Figure {
  /** What was measured, as a row of the table. */
  readonly what: string;
  readonly unit: Unit;
  readonly median: number;
  readonly minimum: number;
  readonly maximum: number;
  /** At most this much, in the same unit. */
  readonly budget?: number;
  /** Times the bare operations that were measured in turn with it: the machine's speed and load are not in this. */
  readonly ratio?: number;
  readonly note?: string;
}

export interface Skip {
  readonly what: string;
  readonly skipped: string;
}

export interface Failure {
  readonly what: string;
  readonly failed: string;
}

export type Row = Figure | Skip | Failure;

export interface Benchmark {
  readonly title: string;
  run(): Promise<readonly Row[]>;
}

/** Median and spread of these samples. Throws when there is none. */
export function figure(
  what: string,
  unit: Unit,
  samples: readonly number[],
  more: Pick<Figure, "budget" | "ratio" | "note"> = {},
): Figure {
  const minimum = Math.min(...samples);
  const maximum = Math.max(...samples);
  return { what, unit, median: median(samples), minimum, maximum, ...more };
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  if (upper === undefined || lower === undefined) throw new Error("nothing was measured");
  return (lower + upper) / 2;
}
