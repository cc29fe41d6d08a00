// Watches two BIRDs during a scenario: which keys stand in their files, and how the kernel counts each key's segments.
import { readFileSync } from "node:fs";
import type { Bird } from "./bird.ts";
import { kernelKeys } from "./kernelKeys.ts";
import type { Lab } from "./lab.ts";
import type { VerifierMkt } from "./verify.ts";
import { passTime } from "./wait.ts";

/** One key's counter of accepted segments at one end: in which samples it first and last grew. */
export interface Growth {
  readonly recvId: number;
  readonly first: number;
  readonly last: number;
  readonly good: number;
}

const VERIFIER_ALGORITHM: Readonly<Record<string, string>> = {
  "cmac aes128": "aes-128-cmac-96",
  "hmac sha1": "hmac-sha-1-96",
  "hmac sha256": "hmac-sha-256-96",
};
const KEY = /send id (\d+); recv id (\d+); secret hex:([0-9a-f]+); algorithm ([a-z0-9 ]+);/g;

export class KeyWatch {
  readonly #birds: readonly [Bird, Bird];
  readonly #mkts = new Map<string, VerifierMkt>();
  readonly #growth: readonly [Map<number, Growth>, Map<number, Growth>] = [new Map(), new Map()];
  #sample = 0;
  #isStopped = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(birds: readonly [Bird, Bird]) {
    this.#birds = birds;
  }

  start(lab: Lab): void {
    this.#loop = this.#run();
    lab.defer(() => this.stop());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#loop;
  }

  /** Every key that stood in r1's file, as the verifier wants them. */
  mkts(): VerifierMkt[] {
    return [...this.#mkts.values()];
  }

  /** Counters of one end (0: r1, 1: r2), in the order in which they first grew. */
  growth(end: 0 | 1): Growth[] {
    return [...this.#growth[end].values()].sort((a, b) => a.first - b.first);
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      this.#sample++;
      this.#readFile();
      for (const end of [0, 1] as const) await this.#readCounters(end);
      await passTime(0.2);
    }
  }

  #readFile(): void {
    const { local, remote, keyFile } = this.#birds[0].options.peering;
    for (const [, send = "", recv = "", keyHex = "", algorithm = ""] of readFileSync(keyFile, "utf8").matchAll(KEY)) {
      const [sendId, recvId] = [Number(send), Number(recv)];
      const ends = [
        { address: local, sendId, recvId },
        { address: remote, sendId: recvId, recvId: sendId },
      ];
      const known = VERIFIER_ALGORITHM[algorithm];
      if (known === undefined) throw new Error(`${keyFile} names an algorithm that the verifier has not: ${algorithm}`);
      this.#mkts.set(keyHex, { name: `${sendId}/${recvId}`, algorithm: known, keyHex, tcpOptions: true, ends });
    }
  }

  async #readCounters(end: 0 | 1): Promise<void> {
    const { options, pid } = this.#birds[end];
    const keys = await kernelKeys(options.namespace, pid, options.peering.remote).catch(() => []); // no connection just now
    for (const { recvId, good } of keys) {
      const known = this.#growth[end].get(recvId);
      if (good === 0 || known?.good === good) continue;
      this.#growth[end].set(recvId, { recvId, good, first: known?.first ?? this.#sample, last: this.#sample });
    }
  }
}
