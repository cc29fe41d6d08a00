/** Messages that two endpoints really sent, decoded and encoded again and again. */
import { decodeMessage, decodePayloads, encodeMessage, encodePayloads, KeyExchangeMethod } from "@karp/ikev2";
import { NodeCryptoProvider } from "@karp/ikev2/node";
import { presharedKeys } from "./authentications.ts";
import { cpuMicroseconds, type Work } from "./cpuTime.ts";
import { type Benchmark, figure, type Row } from "./figure.ts";
import { TwoEnds } from "./twoEnds.ts";

const times = 10_000;

export const codec: Benchmark = {
  title: "codec",
  run: async (): Promise<readonly Row[]> => {
    const { saInit, createChildSa, inside } = await capture();
    const init = decodeMessage(saInit);
    const outer = decodeMessage(createChildSa);
    const firstPayload = outer.encrypted?.firstPayload ?? 0;
    const payloads = decodePayloads(firstPayload, inside);
    const samples = await cpuMicroseconds({
      decodeInit: repeated(() => decodeMessage(saInit)),
      encodeInit: repeated(() => encodeMessage(init.header, init.payloads)),
      decodeChild: repeated(() => [decodeMessage(createChildSa), decodePayloads(firstPayload, inside)]),
      encodeChild: repeated(() => encodePayloads(payloads)),
    });
    const child = `CREATE_CHILD_SA request, PFS, ${createChildSa.length} octets, without the cipher`;
    return [
      figure(`decode an IKE_SA_INIT request, ${saInit.length} octets`, "µs", samples.decodeInit),
      figure("encode the same", "µs", samples.encodeInit),
      figure(`decode a ${child}`, "µs", samples.decodeChild),
      figure("encode the payloads of the same", "µs", samples.encodeChild),
    ];
  },
};

interface Captured {
  readonly saInit: Uint8Array;
  readonly createChildSa: Uint8Array;
  /** What the SK payload of `createChildSa` holds, without padding. */
  readonly inside: Uint8Array;
}

async function capture(): Promise<Captured> {
  const requests: Uint8Array[] = [];
  const crypto = new SealedCapture();
  const options = {
    associations: 1,
    authentications: presharedKeys(),
    pfs: [KeyExchangeMethod.CURVE25519],
    tap: (from: string, data: Uint8Array): void => {
      if (from === "a") requests.push(data);
    },
  };
  const ends = new TwoEnds(options, { a: crypto, b: new NodeCryptoProvider() });
  await ends.createMkt(0, 1);
  await ends.createMkt(0, 2, 1);
  const [saInit, createChildSa, inside] = [requests[0], requests.at(-1), crypto.last];
  if (saInit === undefined || createChildSa === undefined || inside === undefined) throw new Error("nothing was sent");
  return { saInit, createChildSa, inside: inside.subarray(0, -1) };
}

/** Keeps the last plaintext. */
class SealedCapture extends NodeCryptoProvider {
  last: Uint8Array | undefined;

  override aeadSeal(...args: Parameters<NodeCryptoProvider["aeadSeal"]>): Uint8Array {
    this.last = args[4].slice();
    return super.aeadSeal(...args);
  }
}

function repeated(operation: () => unknown): Work {
  return {
    count: times,
    prepare: () =>
      Promise.resolve(() => {
        sink = operation();
      }),
  };
}

/** Keeps the compiler from dropping what nobody reads. */
export let sink: unknown;
