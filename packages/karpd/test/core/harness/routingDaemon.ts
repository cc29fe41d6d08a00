import { hex } from "@karp/ikev2";
import type { ApplyOutcome, DriverKey, ObserveOutcome } from "../../../src/ports/routingDriver.ts";

export interface DaemonKey {
  readonly sendId: number;
  readonly recvId: number;
  readonly key: string;
  readonly use: DriverKey["use"];
}

/** One end of a connection, RFC 5925 section 4. */
export interface TcpEnd {
  current: DaemonKey | undefined;
  rnext: DaemonKey | undefined;
}

/** A routing daemon with TCP-AO keys for one session, and the driver in front of it. */
export class RoutingDaemon {
  readonly name: string;
  keys = new Map<number, DaemonKey>();
  good = new Map<number, number>();
  received: number | undefined;
  end: TcpEnd | undefined;
  observes = true;
  canListKeys = true;
  /** It counts segments by key, and knows the KeyID of the last one. */
  countsKeys = true;
  latencyMilliseconds = 20;
  /** Outcomes in place of the next ones; undefined: as usual. */
  script: (ApplyOutcome | undefined)[] = [];
  /** Says installed, and does nothing. */
  lies = false;
  applied = 0;
  readonly removedAt = new Map<number, { readonly at: number; readonly key: string }>();
  readonly faults: string[] = [];
  /** Keys that somebody else put there. */
  readonly foreign = new Map<number, DaemonKey>();

  constructor(name: string) {
    this.name = name;
  }

  get preferred(): DaemonKey | undefined {
    const all = [...this.keys.values()];
    return all.find(({ use }) => use === "preferred") ?? all.findLast(({ use }) => use === "accept") ?? all[0];
  }

  keyForRecvId(recvId: number): DaemonKey | undefined {
    return this.keys.get(recvId) ?? this.foreign.get(recvId);
  }

  keyForSendId(sendId: number): DaemonKey | undefined {
    return [...this.keys.values(), ...this.foreign.values()].find((key) => key.sendId === sendId);
  }

  apply(keys: readonly DriverKey[], at: number): ApplyOutcome {
    const scripted = this.script.shift();
    if (scripted !== undefined) return scripted;
    this.applied += 1;
    if (this.lies) return { kind: "installed" };
    const next = new Map(keys.map((key) => [key.recvId, daemonKey(key)]));
    this.#checkReuse(next, at);
    for (const [recvId, { key }] of this.keys) {
      if (next.get(recvId)?.key === key) continue;
      this.removedAt.set(recvId, { at, key });
      this.good.delete(recvId);
      if (this.end?.current?.recvId === recvId || this.end?.rnext?.recvId === recvId) {
        if (next.size > 0)
          this.faults.push(`${this.name}: key with RecvID ${recvId} was removed while it is current_key or rnext_key`);
      }
    }
    this.keys = next;
    this.#follow();
    return { kind: "installed" };
  }

  /** rnext_key moves with the preferred key; current_key only by the peer's word (RFC 5925 section 6.1). */
  #follow(): void {
    const { end, preferred } = this;
    if (end === undefined || preferred === undefined || end.rnext === undefined) return;
    end.rnext = preferred;
  }

  #checkReuse(next: ReadonlyMap<number, DaemonKey>, at: number): void {
    for (const [recvId, { key }] of next) {
      const removed = this.removedAt.get(recvId);
      if (removed === undefined || removed.key === key || at - removed.at >= 240_000) continue;
      this.faults.push(
        `${this.name}: RecvID ${recvId} names another key ${(at - removed.at) / 1000} s after the former was removed`,
      );
    }
    const sendIds = [...next.values()].map(({ sendId }) => sendId);
    if (new Set(sendIds).size !== sendIds.length) this.faults.push(`${this.name}: two keys have one SendID`);
  }

  /** The daemon restarts without its keys. */
  loseKeys(): void {
    this.keys = new Map();
    this.good = new Map();
  }

  observe(): ObserveOutcome {
    if (!this.observes) return { kind: "unavailable", reason: "this driver cannot observe" };
    const { end } = this;
    const isSigned = end?.current !== undefined;
    return {
      kind: "observed",
      observation: {
        connections: isSigned ? 1 : 0,
        ...(isSigned && end.current !== undefined ? { currentSendId: end.current.sendId } : {}),
        ...(isSigned && end.rnext !== undefined ? { rnextRecvId: end.rnext.recvId } : {}),
        ...(this.countsKeys
          ? { goodByRecvId: new Map(this.good) }
          : { goodTotal: [...this.good.values()].reduce((sum, good) => sum + good, 0) }),
        ...(this.countsKeys && isSigned && this.received !== undefined ? { receivedKeyId: this.received } : {}),
        ...(this.canListKeys ? { recvIdsPresent: [...this.keys.keys()] } : {}),
      },
    };
  }
}

function daemonKey({ sendId, recvId, masterKey, use }: DriverKey): DaemonKey {
  return { sendId, recvId, key: masterKey.expose(hex), use };
}
