import type { Benchmark } from "./figure.ts";

/** In the order of the table. Each is loaded in a process of its own. */
export const benchmarks: Readonly<Record<string, () => Promise<Benchmark>>> = {
  "pair-psk": async () => (await import("./pairs.ts")).pairPsk,
  "pair-pinned": async () => (await import("./pairs.ts")).pairPinned,
  "pair-chain": async () => (await import("./pairs.ts")).pairChain,
  "pair-rsa": async () => (await import("./pairs.ts")).pairRsa,
  rekey: async () => (await import("./rekeys.ts")).rekeys,
  codec: async () => (await import("./codec.ts")).codec,
  primitives: async () => (await import("./primitives.ts")).primitives,
  memory: async () => (await import("./memory.ts")).memory,
  store: async () => (await import("./store.ts")).store,
  "start-up": async () => (await import("./startUp.ts")).startUp,
};
