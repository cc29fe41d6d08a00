import type { Writable } from "node:stream";
import { frame } from "./frame.ts";
import type { DemoRouter } from "./layOut.ts";
import type { RouterState } from "./runningRouter.ts";

/** How the demo shows itself. */
export interface DemoView {
  started(routers: readonly DemoRouter[], kernelTcpAo: boolean): void;
  states(states: readonly RouterState[]): void;
  event(router: string, event: Readonly<Record<string, unknown>>): void;
}

/** One JSON object a line. */
export class JsonView implements DemoView {
  readonly #out: Writable;

  constructor(out: Writable) {
    this.#out = out;
  }

  started(routers: readonly DemoRouter[], kernelTcpAo: boolean): void {
    this.#line({ event: "started", routers: routers.map(({ name, address }) => ({ name, address })), kernelTcpAo });
  }

  states(states: readonly RouterState[]): void {
    for (const { name, keys, rollover, rollovers, statistics } of states) {
      const shown = keys.map(({ state, sendId, recvId, fingerprint }) => ({ state, sendId, recvId, fingerprint }));
      this.#line({
        event: "state",
        router: name,
        step: rollover?.step,
        rollovers,
        keys: shown,
        statistics,
      });
    }
  }

  event(router: string, event: Readonly<Record<string, unknown>>): void {
    this.#line({ event: "event", router, ...event, kind: event["name"] });
  }

  #line(value: unknown): void {
    this.#out.write(`${JSON.stringify(value)}\n`);
  }
}

/** Where people look; `columns` and `rows` are there when it is a terminal. */
type Terminal = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };

/** Both key tables side by side and the timeline of the rollovers, drawn over itself; plain lines where there is no terminal. */
export class LiveView implements DemoView {
  readonly #out: Terminal;
  readonly #timeline: string[] = [];
  #heading = "";
  #drawn = 0;
  #latest: readonly RouterState[] = [];

  constructor(out: Terminal) {
    this.#out = out;
  }

  started(routers: readonly DemoRouter[], kernelTcpAo: boolean): void {
    const where = routers.map(({ name, address }) => `${name} on ${address}`).join(", ");
    const kernel = kernelTcpAo
      ? "This kernel has TCP-AO: beside signed segments over UDP a real TCP session runs, keyed in the kernel with the same keys."
      : "This kernel has no TCP-AO: signed segments cross a UDP socket, built and verified by RFC 5925 endpoints in the daemons.";
    this.#heading = `karp demo: ${where}\n${kernel}`;
    this.#out.write(`${this.#heading}\n`);
  }

  event(router: string, event: Readonly<Record<string, unknown>>): void {
    const line = `${String(event["at"]).slice(11, 23)} ${router} ${String(event["text"])}`;
    this.#timeline.push(line);
    if (!this.#out.isTTY) this.#out.write(`${line}\n`);
    else this.#draw();
  }

  states(states: readonly RouterState[]): void {
    this.#latest = states;
    if (this.#out.isTTY) this.#draw();
  }

  #draw(): void {
    // A terminal that was never told its size says 0
    const size = { columns: this.#out.columns || 80, rows: this.#out.rows || 24 };
    const lines = frame(this.#latest, this.#timeline, size);
    // Back to the first line of the last drawing; each line is cleared before it is written anew.
    const back = this.#drawn === 0 ? "" : `\u001b[${this.#drawn}A`;
    this.#out.write(`${back}${lines.map((line) => `\u001b[2K${line}`).join("\n")}\n\u001b[J`);
    this.#drawn = lines.length;
  }
}
