import { median } from "./figure.ts";

const runs = 5;
/** CPU time of each work before anything counts: V8 compiles what is hot in several steps. */
const warmUpMicroseconds = 2_000_000;

/** Something that is done `count` times a run; what it needs is prepared before the clock starts. */
export interface Work {
  readonly count: number;
  /** Gives the work of one run. */
  prepare(): Promise<(index: number) => void | Promise<void>>;
}

/**
 * CPU time of this process for one piece of each work, in microseconds, a sample for each of five runs. The works take
 * turns, so that a machine that changes its speed changes it for all of them. The code is warm. Garbage is collected
 * when V8 wants to: a forced full collection would throw away compiled code, too, and double what a short run costs.
 */
export async function cpuMicroseconds<Name extends string>(
  works: Readonly<Record<Name, Work>>,
): Promise<Readonly<Record<Name, readonly number[]>>> {
  const names = Object.keys(works) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (const name of names) await warmUp(works[name]);
  for (let run = 0; run < runs; run++) {
    for (const name of names) samples[name].push(await once(works[name]));
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

async function warmUp(work: Work): Promise<void> {
  for (let spent = 0; spent < warmUpMicroseconds; ) spent += (await once(work)) * work.count;
}

async function once({ count, prepare }: Work): Promise<number> {
  const piece = await prepare();
  const begin = process.cpuUsage();
  for (let index = 0; index < count; index++) {
    const pending = piece(index);
    if (pending !== undefined) await pending;
  }
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / count;
}
