/** IKE_SA_INIT and IKE_AUTH between two endpoints: an IKE SA and its first MKT. */
import { KeyExchangeMethod } from "@karp/ikev2";
import { nodeKeyExchange } from "../packages/ikev2/node/nodeKeyExchange.ts";
import { certificates, pinnedKeys, presharedKeys } from "./authentications.ts";
import { cpuMicroseconds, milliseconds, ratio, type Work } from "./cpuTime.ts";
import { type Benchmark, figure, type Row } from "./figure.ts";
import { TwoEnds, type TwoEndsOptions } from "./twoEnds.ts";

type HowToAuthenticate = Pick<TwoEndsOptions, "authentications" | "judge">;

const withoutStore = "CPU of both ends; no store, no sockets";

export const pairPsk = pairBenchmark("IKE SA + first MKT, PSK", 400, () => ({ authentications: presharedKeys() }), 0.4);

export const pairPinned = pairBenchmark("IKE SA + first MKT, Ed25519 raw public keys, pinned", 400, () => ({
  authentications: pinnedKeys(),
}));

export const pairChain = pairBenchmark("IKE SA + first MKT, Ed25519 certificates, chain validated", 200, () =>
  certificates("ed25519"),
);

export const pairRsa = pairBenchmark(
  "IKE SA + first MKT, RSA-2048 certificates, chain validated",
  100,
  () => certificates("rsa"),
  1.2,
);

/** What no implementation can do without: two X25519 key pairs, two agreements. */
export const bareKeyExchange: Work = {
  count: 400,
  prepare: () => Promise.resolve(twoAgreements),
};

function twoAgreements(): void {
  const [a, b] = [nodeKeyExchange(KeyExchangeMethod.CURVE25519), nodeKeyExchange(KeyExchangeMethod.CURVE25519)];
  if (a?.agree(b?.publicValue ?? new Uint8Array(0)) === undefined || b?.agree(a.publicValue) === undefined) {
    throw new Error("no agreement");
  }
}

function pairBenchmark(title: string, count: number, how: () => HowToAuthenticate, budget?: number): Benchmark {
  return {
    title,
    run: async (): Promise<readonly Row[]> => {
      const options = { associations: count, ...how() };
      const pair: Work = {
        count,
        prepare: () => {
          const ends = new TwoEnds(options);
          return Promise.resolve((index) => ends.createMkt(index, 1));
        },
      };
      const samples = await cpuMicroseconds({ bare: bareKeyExchange, pair });
      return [
        figure(title, "ms", milliseconds(samples.pair), {
          ...(budget === undefined ? {} : { budget }),
          ratio: ratio(samples.pair, samples.bare),
          note: withoutStore,
        }),
      ];
    },
  };
}
