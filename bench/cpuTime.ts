import { median } from "./figure.ts";

const runs = 5;

/** Something that is done `count` times a run; what it needs is prepared before the clock starts. */
export interface Work {
  readonly count: number;
  /** Gives the work of one run. */
  prepare(): Promise<(index: number) => void | Promise<void>>;
}

/**
 * CPU time of this process for one piece of each work, in microseconds, a sample for each of five runs. The works take
 * turns, so that a machine that changes its speed changes it for all of them. Garbage of a run is collected within it
 * or not at all; everything is compiled before, in `warmUp` runs.
 */
export async function cpuMicroseconds<Name extends string>(
  works: Readonly<Record<Name, Work>>,
  warmUp = 3,
): Promise<Readonly<Record<Name, readonly number[]>>> {
  const names = Object.keys(works) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let run = -warmUp; run < runs; run++) {
    for (const name of names) {
      const microseconds = await once(works[name]);
      if (run >= 0) samples[name].push(microseconds);
    }
  }
  return samples;
}

/** Median over the runs of `samples[i] / bare[i]`, which were measured one after the other. */
export function ratio(samples: readonly number[], bare: readonly number[]): number {
  return median(samples.map((sample, index) => sample / (bare[index] ?? Number.NaN)));
}

export function milliseconds(microseconds: readonly number[]): readonly number[] {
  return microseconds.map((each) => each / 1000);
}

async function once({ count, prepare }: Work): Promise<number> {
  const piece = await prepare();
  globalThis.gc?.();
  const begin = process.cpuUsage();
  for (let index = 0; index < count; index++) {
    const pending = piece(index);
    if (pending !== undefined) await pending;
  }
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / count;
}
