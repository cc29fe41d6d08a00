import type { CryptoProvider, IkeInput, Instant, Now } from "@karp/ikev2";
import type { DaemonEvent, EventName, Severity } from "../events.ts";
import type { KeyTableRow, MktState } from "../keytable/row.ts";
import { withSendLifetime } from "../keytable/sendLifetime.ts";
import type { DaemonEffect } from "../machine.ts";
import { earliest } from "../time.ts";
import type { Association, Mkt, Retiring, Situation } from "./association.ts";
import type { KeyIdTable } from "./keyIdTable.ts";
import type { Facts } from "./permission.ts";
import type { Rules } from "./rules.ts";

export interface DriverTraits {
  /** False: the driver can tell nothing about what the routing daemon does. */
  observes(driver: string): boolean;
}

/** What every association shares, for as long as the process lives. */
export interface Ground {
  readonly crypto: Pick<CryptoProvider, "random" | "digest">;
  readonly rules: Rules;
  readonly drivers: DriverTraits;
  readonly keyIds: KeyIdTable;
  /** An id for a request of this association: its answer finds back. */
  nextRequestId(association: Association): number;
  /** Undefined while the store works. */
  storeFailure(): { readonly reason: string } | undefined;
}

/** What leaves the gatekeeper: to the world, or to the IKE engine. */
export type Output =
  | { readonly to: "world"; readonly effect: DaemonEffect }
  | { readonly to: "ike"; readonly input: IkeInput };

/** One call of `handle`: the time, and what comes out of it in order. */
export class Turn {
  readonly now: Now;
  readonly ground: Ground;
  /** A situation, preference or plan moved: the rules are asked once more. */
  hasMoved = false;
  #outputs: Output[] = [];
  #wakeAt: Instant | undefined;

  constructor(now: Now, ground: Ground) {
    this.now = now;
    this.ground = ground;
  }

  effect(effect: DaemonEffect): void {
    this.#outputs.push({ to: "world", effect });
  }

  ike(input: IkeInput): void {
    this.#outputs.push({ to: "ike", input });
  }

  takeOutputs(): readonly Output[] {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  /** The association at hand wants to be looked at again then. What has come already waits for something else than time. */
  wake(at: Instant | undefined): void {
    if (at !== undefined && at > this.now.monotonic) this.#wakeAt = earliest(this.#wakeAt, at);
  }

  takeWake(): Instant | undefined {
    const at = this.#wakeAt;
    this.#wakeAt = undefined;
    return at;
  }

  facts(association: Association): Facts {
    return { now: this.now, observes: this.ground.drivers.observes(association.session.driver) };
  }

  event(
    association: Association,
    name: EventName,
    severity: Severity,
    text: string,
    more: { readonly mkt?: Mkt | undefined; readonly data?: DaemonEvent["data"] } = {},
  ): void {
    const { mkt, data = {} } = more;
    const peer = association.peer?.config.name;
    this.effect({
      kind: "event",
      event: {
        name,
        at: this.now.wall,
        severity,
        session: association.name,
        ...(peer === undefined ? {} : { peer }),
        ...(mkt === undefined ? {} : { adminKeyName: mkt.row.adminKeyName }),
        text,
        data:
          mkt === undefined
            ? data
            : { fingerprint: mkt.fingerprint, sendId: mkt.row.sendId, recvId: mkt.row.recvId, ...data },
      },
    });
    note(association, this.now.wall, text);
  }

  /** The MKT enters a situation: its row follows, and is stored before anything is done about it. */
  enter(association: Association, mkt: Mkt, situation: Situation, change: Partial<KeyTableRow> = {}): void {
    const before = mkt.row.state;
    const state = rowState(situation);
    mkt.situation = situation;
    this.hasMoved = true;
    if (state === before) {
      if (Object.keys(change).length > 0) this.amend(mkt, change);
      return;
    }
    mkt.row = withSendLifetime(mkt.row, state, this.now.wall);
    this.amend(mkt, { ...change, state, history: { ...mkt.row.history, [state]: this.now.wall } });
    this.event(association, "mktState", "info", `key ${mkt.fingerprint}: ${before} -> ${state}`, {
      mkt,
      data: { from: before, to: state },
    });
  }

  /** Changes fields of the row. */
  amend(mkt: Mkt, change: Partial<KeyTableRow>): void {
    mkt.row = { ...mkt.row, ...change, generation: mkt.row.generation + 1 };
    mkt.isDirty = true;
  }

  /** A number in [0, 1). */
  random(): number {
    return randomOf(this.ground);
  }
}

/** A number in [0, 1). */
export function randomOf({ crypto }: Pick<Ground, "crypto">): number {
  return crypto.random(4).reduce((sum, octet) => sum * 256 + octet, 0) / 2 ** 32;
}

/** The last few lines of what happened to a session, for people. */
function note(association: Association, at: Now["wall"], text: string): void {
  association.timeline = [...association.timeline.slice(-11), { at, text }];
}

function rowState(situation: Situation): MktState {
  if (situation.name !== "retiring") return situation.name;
  return isFailed(situation) ? "failed" : "retiring";
}

function isFailed(situation: Retiring): boolean {
  return situation.why === "failed";
}
