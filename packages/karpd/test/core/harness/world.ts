import type { Instant, Now, UdpAddress, UnixMilliseconds } from "@karp/ikev2";
import type { Router } from "./router.ts";
import type { TcpSession } from "./tcpSession.ts";

interface Happening {
  readonly at: number;
  readonly order: number;
  readonly act: () => void;
}

/** Virtual time and a virtual network for a few routers and their sessions. */
export class World {
  milliseconds = 1_000_000;
  wallOffset = 1_790_000_000_000;
  diskMilliseconds = 3;
  latencyMilliseconds = 15;
  /** How long a TCP segment is under way. */
  segmentMilliseconds = (): number => 30;
  /** Part of IKE datagrams that is lost, drawn from `random`. */
  loss = 0;
  random: () => number = () => 0.5;
  isPartitioned = false;
  /** Returns true to drop the datagram. */
  filter: ((data: Uint8Array, from: Router) => boolean) | undefined;
  readonly routers: Router[] = [];
  readonly sessions: TcpSession[] = [];
  /** Called after each event: the oracle. */
  check: () => void = () => undefined;
  onRevoked: () => void = () => undefined;
  steps = 0;
  #happenings: Happening[] = [];
  #order = 0;
  #stuck = 0;

  now(): Now {
    return { monotonic: this.milliseconds as Instant, wall: (this.milliseconds + this.wallOffset) as UnixMilliseconds };
  }

  after(milliseconds: number, act: () => void): void {
    const at = this.milliseconds + milliseconds;
    this.#order += 1;
    const happening = { at, order: this.#order, act };
    let place = this.#happenings.length;
    while (place > 0 && (this.#happenings[place - 1]?.at ?? 0) > at) place -= 1;
    this.#happenings.splice(place, 0, happening);
  }

  transmit(from: Router, _local: UdpAddress, remote: UdpAddress, data: Uint8Array): void {
    if (this.isPartitioned || this.random() < this.loss || this.filter?.(data, from) === true) return;
    const to = this.routers.find(({ parts }) =>
      parts.configuration.peers.some(({ local }) => local.address === remote.address),
    );
    const source = from.parts.configuration.peers[0]?.local;
    if (to === undefined || source === undefined) return;
    this.after(this.latencyMilliseconds, () => to.input({ kind: "datagram", local: remote, remote: source, data }));
  }

  /** Lets TCP sessions send once a second. */
  startTraffic(): void {
    const tick = (): void => {
      for (const session of this.sessions)
        session.tick((segment) => this.after(this.segmentMilliseconds(), segment), this.milliseconds);
      this.after(1000, tick);
    };
    this.after(500, tick);
  }

  run(seconds: number): void {
    this.runUntil(() => false, seconds);
  }

  /** Jumps from event to event until the condition holds; false when the time is over before. */
  runUntil(condition: () => boolean, seconds: number): boolean {
    const end = this.milliseconds + seconds * 1000;
    for (;;) {
      if (condition()) return true;
      const [next] = this.#happenings;
      const due = this.#dueRouter();
      const at = Math.min(next?.at ?? Number.POSITIVE_INFINITY, due?.at ?? Number.POSITIVE_INFINITY);
      if (at > end) {
        this.milliseconds = end;
        return condition();
      }
      this.#notStuck(at);
      this.milliseconds = Math.max(this.milliseconds, at);
      this.steps += 1;
      if (next !== undefined && next.at <= (due?.at ?? Number.POSITIVE_INFINITY)) {
        this.#happenings.shift();
        next.act();
      } else due?.router.input({ kind: "timeout" });
      this.check();
    }
  }

  /** A deadline that handling does not move would stop the clock for ever. */
  #notStuck(at: number): void {
    this.#stuck = at > this.milliseconds ? 0 : this.#stuck + 1;
    if (this.#stuck > 1000) {
      const views = this.routers.map((router) => router.core?.views(this.now()).rollovers);
      throw new Error(`time stands still: ${JSON.stringify(views, null, 1)}`);
    }
  }

  #dueRouter(): { readonly router: Router; readonly at: number } | undefined {
    let due: { readonly router: Router; readonly at: number } | undefined;
    for (const router of this.routers) {
      const at = router.core?.nextDeadline();
      if (at !== undefined && (due === undefined || at < due.at)) due = { router, at };
    }
    return due;
  }
}
