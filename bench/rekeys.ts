/** CREATE_CHILD_SA with REKEY_SA on IKE SAs that are there, and the D payload for the MKT replaced. */
import { KeyExchangeMethod } from "@karp/ikev2";
import { presharedKeys } from "./authentications.ts";
import { cpuMicroseconds, milliseconds, ratio, type Work } from "./cpuTime.ts";
import { type Benchmark, figure, type Row } from "./figure.ts";
import { bareKeyExchange } from "./pairs.ts";
import { TwoEnds } from "./twoEnds.ts";

const associations = 100;
const rekeysEach = 20;

export const rekeys: Benchmark = {
  title: "MKT rekey",
  run: async (): Promise<readonly Row[]> => {
    const samples = await cpuMicroseconds({
      bare: bareKeyExchange,
      plain: rekeying([]),
      pfs: rekeying([KeyExchangeMethod.CURVE25519]),
      deletion,
    });
    const note = "CPU of both ends; no store, no sockets; whole SA and TS payloads, not the optimized form";
    return [
      figure("MKT rekey without PFS", "ms", milliseconds(samples.plain), { budget: 0.1, note }),
      figure("MKT rekey with PFS", "ms", milliseconds(samples.pfs), {
        budget: 0.25,
        ratio: ratio(samples.pfs, samples.bare),
        note,
      }),
      figure("INFORMATIONAL with D for the old MKT", "ms", milliseconds(samples.deletion), {
        note: "CPU of both ends",
      }),
    ];
  },
};

function rekeying(pfs: readonly number[]): Work {
  return {
    count: associations * rekeysEach,
    prepare: async () => {
      const ends = await established(pfs);
      return (index) => {
        const association = index % associations;
        const sendId = 2 + Math.floor(index / associations);
        const done = ends.createMkt(association, sendId, sendId - 1);
        if (ends.lastMkt.replaces !== sendId - 1) throw new Error("it was not a rekey");
        return done;
      };
    },
  };
}

const deletion: Work = {
  count: associations * rekeysEach,
  prepare: async () => {
    const ends = await established([]);
    for (let sendId = 2; sendId <= 1 + rekeysEach; sendId++) {
      for (let index = 0; index < associations; index++) await ends.createMkt(index, sendId);
    }
    return (index) => ends.deleteMkt(index % associations, 1 + Math.floor(index / associations));
  },
};

async function established(pfs: readonly number[]): Promise<TwoEnds> {
  const ends = new TwoEnds({ associations, authentications: presharedKeys(), pfs });
  for (let index = 0; index < associations; index++) await ends.createMkt(index, 1);
  return ends;
}
