/** Memory of established associations: IKE SA, its MKT, and the peer's configuration, at each of two ends. */
import { presharedKeys } from "./authentications.ts";
import { type Benchmark, figure, type Row } from "./figure.ts";
import { TwoEnds } from "./twoEnds.ts";

export const memory: Benchmark = {
  title: "memory",
  run: async (): Promise<readonly Row[]> => {
    if (globalThis.gc === undefined) return [{ what: "memory", skipped: "node runs without --expose-gc" }];
    const few = await associationsOf(1000);
    const many = await associationsOf(10_000);
    return [...rows(1000, few), ...rows(10_000, many)];
  },
};

interface Grown {
  readonly heapKibibytes: number;
  readonly residentKibibytes: number;
}

function rows(count: number, { heapKibibytes, residentKibibytes }: Grown): readonly Row[] {
  const what = `per association and end, ${count.toLocaleString("en")} of them`;
  const note = "the engine with its configuration; without gatekeeper, key table and store";
  return [
    figure(`memory ${what}: heap and buffers`, "KiB", [heapKibibytes], { budget: 4, note }),
    figure(`memory ${what}: resident set`, "KiB", [residentKibibytes], {
      note: "grows by what the collector kept, too",
    }),
  ];
}

async function associationsOf(associations: number): Promise<Grown> {
  const before = settled();
  const ends = new TwoEnds({ associations, authentications: presharedKeys() });
  for (let index = 0; index < associations; index++) await ends.createMkt(index, 1);
  const after = settled();
  if (ends.establishedIkeSas !== associations) throw new Error(`only ${ends.establishedIkeSas} IKE SAs`);
  const kibibytes = (octets: number): number => octets / 1024 / (2 * associations);
  return {
    heapKibibytes: kibibytes(inUse(after) - inUse(before)),
    residentKibibytes: kibibytes(after.rss - before.rss),
  };
}

function settled(): NodeJS.MemoryUsage {
  for (let round = 0; round < 4; round++) globalThis.gc?.();
  return process.memoryUsage();
}

function inUse({ heapUsed, external }: NodeJS.MemoryUsage): number {
  return heapUsed + external; // arrayBuffers are part of external
}
