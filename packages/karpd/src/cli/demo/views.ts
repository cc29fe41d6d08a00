import type { Writable } from "node:stream";
import { table } from "../text.ts";
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

const TIMELINE_LINES = 12;

/** Both key tables side by side and the timeline of the rollovers, drawn over itself; plain lines where there is no terminal. */
export class LiveView implements DemoView {
  readonly #out: Writable & { readonly isTTY?: boolean };
  readonly #timeline: string[] = [];
  #heading = "";
  #drawn = 0;
  #latest: readonly RouterState[] = [];

  constructor(out: Writable & { readonly isTTY?: boolean }) {
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
    const sides = this.#latest.map((state) => keyTable(state).split("\n"));
    const width = Math.max(0, ...(sides[0] ?? []).map((line) => line.length)) + 3;
    const rows = Math.max(0, ...sides.map((side) => side.length));
    const lines = Array.from(
      { length: rows },
      (_, row) => `${(sides[0]?.[row] ?? "").padEnd(width)}${sides[1]?.[row] ?? ""}`,
    );
    lines.push("", ...this.#timeline.slice(-TIMELINE_LINES));
    // Back to the first line of the last drawing; each line is cleared before it is written anew.
    const back = this.#drawn === 0 ? "" : `\u001b[${this.#drawn}A`;
    this.#out.write(`${back}${lines.map((line) => `\u001b[2K${line}`).join("\n")}\n\u001b[J`);
    this.#drawn = lines.length;
  }
}

function keyTable({ name, keys, rollover, rollovers, statistics }: RouterState): string {
  const counted = `${statistics["segmentsVerified"] ?? 0} verified, ${statistics["segmentsRejected"] ?? 0} rejected`;
  const { kernelKeepalives } = statistics;
  const kernel = kernelKeepalives === undefined ? "" : `, ${kernelKeepalives} KEEPALIVEs over the kernel's TCP`;
  const rows = keys.map((key) => [key.state, String(key.sendId), String(key.recvId), key.fingerprint]);
  return `${name}: ${rollover?.step ?? "starting"}, ${rollovers} rollovers, ${counted}${kernel}\n${table(["STATE", "SEND", "RECV", "FINGERPRINT"], rows)}`;
}
