import type { DaemonKey, RoutingDaemon } from "./routingDaemon.ts";

interface Segment {
  readonly from: RoutingDaemon;
  readonly to: RoutingDaemon;
  readonly epoch: number;
  readonly key: DaemonKey | undefined;
  readonly rnextKeyId: number;
}

/** One TCP session between two routing daemons, segment by segment as RFC 5925 section 7 has it. */
export class TcpSession {
  readonly a: RoutingDaemon;
  readonly b: RoutingDaemon;
  isWanted = true;
  isUp = false;
  isSigned = false;
  epoch = 0;
  restarts = 0;
  segments = 0;
  /** A signed segment was accepted once: from here on a drop is a gap. */
  wasKeyed = false;
  readonly drops: string[] = [];

  constructor(a: RoutingDaemon, b: RoutingDaemon) {
    this.a = a;
    this.b = b;
  }

  /** What happens in one second: segments both ways, or attempts to connect. */
  tick(deliver: (segment: () => void) => void, now: number): void {
    if (!this.isWanted) {
      if (this.isUp) this.#down();
      return;
    }
    if (this.isUp && this.isSigned !== this.a.keys.size + this.a.foreign.size > 0) this.#down();
    if (this.isUp && this.isSigned !== this.b.keys.size + this.b.foreign.size > 0) this.#down();
    if (!this.isUp) this.#connect(now);
    if (!this.isUp) return;
    for (const [from, to] of [
      [this.a, this.b],
      [this.b, this.a],
    ] as const) {
      const { end } = from;
      if (end === undefined) continue;
      const segment: Segment = { from, to, epoch: this.epoch, key: end.current, rnextKeyId: end.rnext?.recvId ?? 0 };
      deliver(() => this.#receive(segment, now));
    }
  }

  #connect(now: number): void {
    for (const [from, to] of [
      [this.a, this.b],
      [this.b, this.a],
    ] as const) {
      const syn = from.preferred;
      const isSigned = syn !== undefined;
      if (!isSigned && to.keys.size === 0) {
        this.#up(false);
        return;
      }
      const match = syn === undefined ? undefined : to.keyForRecvId(syn.sendId);
      if (syn === undefined || match === undefined || match.key !== syn.key) {
        if (this.wasKeyed)
          this.drops.push(`${now / 1000} s: SYN of ${from.name} with KeyID ${syn?.sendId} is dropped by ${to.name}`);
        continue;
      }
      this.#up(true);
      from.end = { current: syn, rnext: syn };
      to.end = { current: match, rnext: to.preferred ?? match };
      return;
    }
  }

  #receive({ from, to, epoch, key, rnextKeyId }: Segment, now: number): void {
    if (epoch !== this.epoch || to.end === undefined) return;
    this.segments += 1;
    if (key === undefined) return;
    const match = to.keyForRecvId(key.sendId);
    if (match === undefined || match.key !== key.key) {
      this.drops.push(`${now / 1000} s: segment of ${from.name} with KeyID ${key.sendId} is dropped by ${to.name}`);
      return;
    }
    this.wasKeyed = true;
    to.good.set(match.recvId, (to.good.get(match.recvId) ?? 0) + 1);
    to.received = match.recvId;
    // RFC 5925 section 7.5: current_key moves to the MKT whose SendID is the received RNextKeyID
    const asked = to.keyForSendId(rnextKeyId);
    if (asked !== undefined) to.end.current = asked;
  }

  #up(isSigned: boolean): void {
    this.isUp = true;
    this.isSigned = isSigned;
    this.epoch += 1;
    this.restarts += 1;
    this.a.end = { current: undefined, rnext: undefined };
    this.b.end = { current: undefined, rnext: undefined };
  }

  #down(): void {
    this.isUp = false;
    this.epoch += 1;
    this.a.end = undefined;
    this.b.end = undefined;
    this.a.received = undefined;
    this.b.received = undefined;
  }

  reset(): void {
    this.#down();
  }
}
