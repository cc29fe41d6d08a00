import assert from "node:assert/strict";
import type { Handout, HandoutKey } from "../../../src/core/machine.ts";
import type { DriverKey } from "../../../src/ports/routingDriver.ts";
import { makePair, type Pair, type PairOptions } from "./pair.ts";

/** How long each key of a chain is sent with: virtual seconds cost real time, so they are few. */
export const period = 3600;

/** a in solo mode; b is a router without karp: its routing daemon is all that there is of it. */
export function makeSolo(options: PairOptions = {}): Pair {
  const pair = makePair({
    ...options,
    isStopped: true,
    session: { peer: "none", solo: { keys: 4, everySeconds: period }, ...options.session },
  });
  pair.a.start();
  return pair;
}

export function handout(pair: Pair, again = false): Handout {
  const reply = pair.a.ask({ kind: "handout", session: "r", again, caller: { uid: 0, gid: 0, pid: 1 } });
  assert.ok(reply?.ok === true && reply.handout !== undefined, reply?.text);
  return reply.handout;
}

export interface NeighbourOptions {
  /** How far its clock is behind. */
  readonly lateSeconds?: number;
  /** How many of the keys it was given it knows. */
  readonly keys?: number;
}

/** A neighbour that rolls by the dates that it was given, looked at ten times a minute. */
export class Neighbour {
  readonly #pair: Pair;
  #keys: readonly HandoutKey[] = [];
  lateSeconds: number;
  #last = "";

  constructor(pair: Pair, given: Handout, { lateSeconds = 0, keys = given.keys.length }: NeighbourOptions = {}) {
    this.#pair = pair;
    this.#keys = given.keys.slice(0, keys);
    this.lateSeconds = lateSeconds;
    this.#tick();
  }

  give(given: Handout): void {
    this.#keys = given.keys;
  }

  #tick(): void {
    const { world, b } = this.#pair;
    const now = world.now().wall - this.lateSeconds * 1000;
    const isFirst = (key: HandoutKey): boolean => key === this.#keys[0];
    const sending = this.#keys.findLast((key) => key.sendFrom <= now) ?? this.#keys[0];
    const accepted = this.#keys.filter((key) => {
      return key === sending || ((isFirst(key) || key.acceptFrom <= now) && now <= key.acceptUntil);
    });
    const keys = accepted.map((key) => mirrored(key, key === sending ? "preferred" : "accept"));
    const text = JSON.stringify(keys.map(({ recvId, use }) => [recvId, use]));
    if (text !== this.#last) b.daemon.apply(keys, world.milliseconds);
    this.#last = text;
    world.after(6000, () => this.#tick());
  }
}

function mirrored(key: HandoutKey, use: DriverKey["use"]): DriverKey {
  const { sendId, recvId, algorithm, coversTcpOptions, masterKey } = key;
  return { adminKeyName: `n/${sendId}`, sendId: recvId, recvId: sendId, algorithm, coversTcpOptions, masterKey, use };
}
