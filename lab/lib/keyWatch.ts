// Watches two routing daemons during a scenario: which keys their connection has, and how the kernel counts each one's segments.
import { existsSync, readFileSync } from "node:fs";
import { allKernelKeys, KernelConnection, type KernelKey } from "./kernelKeys.ts";
import type { Lab } from "./lab.ts";
import type { RoutingDaemon } from "./routingDaemon.ts";
import type { VerifierMkt } from "./verify.ts";
import { passTime } from "./wait.ts";

/** One key's counter of accepted segments at one end: in which samples it first and last grew. */
export interface Growth {
  readonly recvId: number;
  readonly keyHex: string;
  readonly first: number;
  readonly last: number;
  readonly good: number;
}

/** Names of algorithms in BIRD's files and in the kernel, as the verifier calls them (96 bits of MAC unless said). */
const VERIFIER_ALGORITHM: Readonly<Record<string, string>> = {
  "cmac aes128": "aes-128-cmac-96",
  "cmac(aes128)": "aes-128-cmac-96",
  "cmac(aes)": "aes-128-cmac-96",
  "hmac sha1": "hmac-sha-1-96",
  "hmac(sha1)": "hmac-sha-1-96",
  "hmac sha256": "hmac-sha-256-96",
  "hmac(sha256)": "hmac-sha-256-96",
};
const FILE_KEY = /send id (\d+); recv id (\d+); secret hex:([0-9a-f]+); algorithm ([a-z0-9 ]+);/g;
const SAMPLE_SECONDS = 0.2;

type Ids = Pick<VerifierMkt, "keyHex" | "tcpOptions" | "macLength"> & {
  sendId: number;
  recvId: number;
  algorithm: string;
};

export class KeyWatch {
  readonly #daemons: readonly [RoutingDaemon, RoutingDaemon];
  /** Files that may hold keys before any connection does: BIRD's. */
  readonly #keyFiles: readonly [string, string];
  readonly #mkts = new Map<string, VerifierMkt>();
  readonly #growth: readonly [Map<string, Growth>, Map<string, Growth>] = [new Map(), new Map()];
  readonly #connections = [new KernelConnection(), new KernelConnection()] as const;
  #sample = 0;
  #isStopped = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(daemons: readonly [RoutingDaemon, RoutingDaemon], keyFiles: readonly [string, string]) {
    this.#daemons = daemons;
    this.#keyFiles = keyFiles;
  }

  start(lab: Lab): void {
    this.#loop = this.#run();
    lab.defer(() => this.stop());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#loop;
  }

  /** Every key that stood in a file or was in the kernel, as the verifier wants them. */
  mkts(): VerifierMkt[] {
    return [...this.#mkts.values()];
  }

  /** Counters of one end (0: r1, 1: r2), in the order in which they first grew. */
  growth(end: 0 | 1): Growth[] {
    return [...this.#growth[end].values()].sort((a, b) => a.first - b.first);
  }

  /** Takes keys of all connections into account, once; counters are not followed. */
  lookAtAll(): void {
    for (const end of [0, 1] as const) {
      const { pid, peering } = this.#daemons[end];
      const all = allKernelKeys(pid, peering.remote, peering.port);
      for (const key of all.flat()) this.#note(end, key);
    }
  }

  /** Once, in place of {@link start}: for a scenario with many sessions, which has a moment for each key. */
  look(): void {
    this.#sample++;
    for (const end of [0, 1] as const) {
      this.#readFile(end);
      this.#readKernel(end);
    }
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      this.look();
      await passTime(SAMPLE_SECONDS);
    }
  }

  #readFile(end: 0 | 1): void {
    const file = this.#keyFiles[end];
    if (!existsSync(file)) return;
    for (const [, send = "", recv = "", keyHex = "", algorithm = ""] of readFileSync(file, "utf8").matchAll(FILE_KEY)) {
      this.#note(end, { sendId: Number(send), recvId: Number(recv), keyHex, algorithm, tcpOptions: true });
    }
  }

  #readKernel(end: 0 | 1): void {
    for (const key of this.#kernelKeys(end)) {
      this.#note(end, key);
      const known = this.#growth[end].get(key.keyHex);
      if (key.good === 0 || known?.good === key.good) continue;
      const { recvId, keyHex, good } = key;
      const first = known?.first ?? this.#sample;
      this.#growth[end].set(keyHex, { recvId, keyHex, good, first, last: this.#sample });
    }
  }

  #kernelKeys(end: 0 | 1): KernelKey[] {
    try {
      const { pid, peering } = this.#daemons[end];
      return this.#connections[end].keys(pid, peering.remote, peering.port);
    } catch {
      return []; // no daemon, or no connection, just now
    }
  }

  /** What the kernel says of a key is surer than what stands in a file. */
  #note(end: 0 | 1, { sendId, recvId, keyHex, algorithm, tcpOptions, macLength }: Ids): void {
    const { local, remote } = this.#daemons[end].peering;
    const known = VERIFIER_ALGORITHM[algorithm];
    if (known === undefined) throw new Error(`the verifier does not have the algorithm ${algorithm}`);
    const ends = [
      { address: local, sendId, recvId },
      { address: remote, sendId: recvId, recvId: sendId },
    ];
    const earlier = this.#mkts.get(keyHex);
    this.#mkts.set(keyHex, {
      name: `${sendId}/${recvId}`,
      algorithm: known,
      keyHex,
      tcpOptions: tcpOptions && earlier?.tcpOptions !== false,
      ...(macLength !== undefined && { macLength }),
      ends,
    });
  }
}
